"""A first report, and an example for more."""

from rattail.reporting import ExcelReport


class UsersAndRoles(ExcelReport):
    """Who may log in, and what each of them may do."""

    name = "Users and Roles"
    # how Rattail knows an own report: the prefix must stay
    type_key = "poser_users_and_roles"
    output_fields = ["username", "name", "active", "roles"]

    def make_data(self, session, params, progress=None, **kwargs):
        """Return the rows of the report."""
        users = session.query(self.model.User).order_by(self.model.User.username)
        return [
            {
                "username": user.username,
                "name": user.display_name,
                "active": "yes" if user.active else "no",
                "roles": ", ".join(sorted(role.name for role in user.roles)),
            }
            for user in users
        ]
