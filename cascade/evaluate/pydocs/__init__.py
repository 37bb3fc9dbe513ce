"""A small collection that every machine with Python has: the standard library's documentation, with judged queries."""

from cascade.evaluate.pydocs.corpus import documents
from cascade.evaluate.pydocs.judgments import SHOWCASE, JudgedQueries, load

__all__ = ["SHOWCASE", "JudgedQueries", "documents", "load"]
