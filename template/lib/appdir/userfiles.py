"""Makes an inventory batch of each file that a user drops into work/user-files; filemon.conf names it."""

import csv
import datetime
import logging
from decimal import Decimal, InvalidOperation
from pathlib import Path

from rattail.filemon import Action
from rattail.gpc import GPC

log = logging.getLogger(__name__)

HEADER = "its first line must name the columns upc and units, and may name cases"


class MakeInventoryBatch(Action):
    """An action of the file monitor; a file goes into done/ or unreadable/ beside it, and is never overwritten."""

    def __call__(self, path, user):
        path = Path(path)
        if path.name.startswith(".") or not path.is_file():  # a placeholder, or a folder
            return
        try:
            counts = list(read(path))
        except (ValueError, csv.Error) as error:
            problem = f"{put_aside(path, 'unreadable')}: {error}"
            log.warning(problem)
            raise ValueError(problem) from error  # which upstream mails
        handler = self.app.get_batch_handler("inventory")
        with self.app.short_session(commit=True) as session:
            creator = session.query(self.model.User).filter_by(username=user).one()
            batch = handler.make_batch(
                session, created_by=creator, mode=self.enum.INVENTORY_MODE_REPLACE, description=path.name
            )
            for entry, upc, cases, units in counts:
                row = handler.make_row()
                row.item_entry, row.upc, row.cases, row.units = entry, upc, cases, units
                handler.add_row(batch, row)
        put_aside(path, "done")


def read(path):
    """Yield (UPC as text, UPC, cases, units) of each line of a CSV file; raise ValueError that names a bad line."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.DictReader(file)
        if not {"upc", "units"} <= {*(lines.fieldnames or [])}:
            raise ValueError(HEADER)
        for line in lines:
            entry = (line["upc"] or "").strip()
            try:
                cases, units = (Decimal((line.get(name) or "0").strip()) for name in ("cases", "units"))
                upc = GPC(entry)
            except (InvalidOperation, ValueError):
                raise ValueError(f"line {lines.line_num} is not a UPC with numbers of cases and units") from None
            yield entry, upc, cases, units


def put_aside(path, folder):
    """Move a file into a folder beside it, under a name that has the time, and return its new path."""
    target = path.parent / folder / f"{datetime.datetime.now():%Y-%m-%d-%H%M%S-%f}-{path.name}"
    target.parent.mkdir(exist_ok=True)
    return path.rename(target)
