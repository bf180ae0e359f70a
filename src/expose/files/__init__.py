"""Files in and out: text, spreadsheets and Parquet as Arrow tables, and the roles that their columns play."""

from expose.files.conventions import Conventions, marked
from expose.files.databases import check_new_table, database_of, is_database
from expose.files.dialect import Dialect
from expose.files.names import check_names, column_names, existing, listing, with_ids
from expose.files.reading import Tables, check_query, opened, read, scan
from expose.files.roles import ColumnsByRole, Roles, columns_by_role, encoded, is_known_label, known_labels, split
from expose.files.values import is_empty, is_missing, key_of
from expose.files.writing import Sink, check_format, writer
from expose.files.written import typed

__all__ = [
    "ColumnsByRole",
    "Conventions",
    "Dialect",
    "Roles",
    "Sink",
    "Tables",
    "check_format",
    "check_names",
    "check_new_table",
    "check_query",
    "column_names",
    "columns_by_role",
    "database_of",
    "encoded",
    "existing",
    "is_database",
    "is_empty",
    "is_known_label",
    "is_missing",
    "key_of",
    "known_labels",
    "listing",
    "marked",
    "opened",
    "read",
    "scan",
    "split",
    "typed",
    "with_ids",
    "writer",
]
