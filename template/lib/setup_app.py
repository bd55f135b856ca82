"""Two steps of setup.sh in one process, since it takes seconds to load the framework: the schema, the first admin."""

import setup_admin
import setup_database

setup_database.main()
setup_admin.main()
