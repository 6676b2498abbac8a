"""Values on disk without pickle: JSON beside safetensors, in a folder or a zip file."""

from sktgdp._storage._archive import SCHEMA, Archive, read_archive, write_archive
from sktgdp._storage._codec import Fields, Kind, Reader, Writer
from sktgdp._storage._pandas import PANDAS_KINDS
from sktgdp._storage._values import VALUE_KINDS

__all__ = [
    "PANDAS_KINDS",
    "SCHEMA",
    "VALUE_KINDS",
    "Archive",
    "Fields",
    "Kind",
    "Reader",
    "Writer",
    "read_archive",
    "write_archive",
]
