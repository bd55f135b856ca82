"""Filters that make a report of what app_dir_check found."""

COLUMNS = ["app dir", "host", "version", "answers", "edited", "missing", "permissions", "backup", "failed checks"]


def app_dir_rows(names, hostvars):
    """Return a dict for each app dir: its name, host, whether it was reached, and what was found (or the error)."""
    rows = []
    for name in names:
        variables = hostvars[name]
        result = variables.get("app_dir_result", {"msg": "not looked at"})
        reached = not result.get("unreachable", False)
        row = {
            "app_dir": name,
            "host": variables.get("ansible_host", name),
            "path": variables.get("app_dir_path"),
            "reached": reached,
        }
        error = {"error": result.get("msg"), "wrong": ["FAILED" if reached else "NOT REACHED"]}
        rows.append(row | dict(result.get("found", error)))
    return rows


def cells(row):
    """Return the cells of the table for a row of app_dir_rows."""
    start = [row["app_dir"], row["host"]]
    if "error" in row:
        return [*start, f"{row['wrong'][0]}: {row['error'].strip().splitlines()[-1]}"]
    version = row["version"]
    names = [*row["edited"], *(f"{name} (removed)" for name in row["removed"])]
    names += [f"{name} (not committed)" for name in row["uncommitted"]]
    failed = [name for name, one in row["checks"].items() if one["status"] == "FAILED"]
    return [
        *start,
        version["found"] + (f" (wanted: {version['wanted']})" if "version" in row["wrong"] else ""),
        ", ".join(f"{name}: {one['found']} (wanted: {one['wanted']})" for name, one in row["answers"].items()),
        ", ".join(names),
        ", ".join(row["missing"]),
        ", ".join(row["permissions"]),
        row["backup"]["text"],
        ", ".join(failed),
    ]


def app_dir_table(rows):
    """Return the rows of app_dir_rows as a table of text; what is as it should be is a dash."""
    table = [COLUMNS, *([cell or "-" for cell in cells(row)] for row in rows)]
    full = [line for line in table if len(line) == len(COLUMNS)]
    widths = [max(len(line[column]) for line in full) for column in range(len(COLUMNS))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in table)


class FilterModule:
    """Tell Ansible the names of the filters."""

    def filters(self):
        return {"app_dir_rows": app_dir_rows, "app_dir_table": app_dir_table}
