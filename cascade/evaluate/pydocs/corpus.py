"""The documentation of the running Python's standard library, as documents to index."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import itertools
import os
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType

from cascade.types import Document

# Never imported: what acts on import (opens a browser, prints, sets up the terminal), needs a display or a terminal,
# is a program or the test suite, or is gone by Python 3.13, so that no one should be pointed to it.
SKIPPED_MODULES = frozenset(
    """
    antigravity this idlelib turtledemo turtle tkinter curses readline rlcompleter test pydoc_data ensurepip
    aifc asynchat asyncore audioop cgi cgitb chunk crypt distutils imghdr imp lib2to3 mailcap msilib nis nntplib
    ossaudiodev pipes smtpd sndhdr spwd sre_compile sre_constants sre_parse sunau telnetlib uu xdrlib
    genericpath ntpath nturl2path posixpath nt posix
    """.split()  # noqa: SIM905 - a page of quoted names is harder to read
)

# The insides of other modules, which programs do not call: hooks for import, debuggers, compilers and parsers.
_MACHINERY = frozenset(
    """
    asyncio.log asyncio.mixins asyncio.proactor_events asyncio.selector_events asyncio.sslproto asyncio.staggered
    bdb ctypes.macholib email.base64mime email.feedparser email.quoprimime importlib.abc importlib.machinery
    importlib.readers importlib.resources.abc importlib.resources.readers importlib.resources.simple
    importlib.simple json.scanner modulefinder opcode pickletools pyclbr pyexpat symtable tabnanny
    wsgiref.types wsgiref.validate xml.dom.expatbuilder xml.dom.minicompat xml.dom.xmlbuilder xml.sax zipimport
    """.split()  # noqa: SIM905 - a page of quoted names is harder to read
)

# The skipped path modules are read once, under the name that people know.
_EXTRA_MODULES = ("os.path",)

# The modules inside are a hundred character tables with one machine-written sentence each.
_PACKAGES_NOT_ENTERED = frozenset({"encodings"})

_MACHINE_WRITTEN = re.compile(r"Alias for field number \d+|An enumeration\.|Initialize self\..*|\S+")
_HEADING_UNDERLINE = re.compile(r"([*=\-~^\"])\1{2,}")
_PLAIN_DEFAULTS = (type(None), bool, int, float, str, bytes)


class _Elided:
    """A default value that is shown as `...`, because its repr would name an address or this machine."""

    def __repr__(self) -> str:
        return "..."


def documents() -> Iterator[Document]:
    """Yield every distinct docstring of the public standard library, then pydoc's topics, in a stable order.

    A text that several names share (aliases, inherited docstrings) is one document under its shortest name. A module
    that cannot be imported here is left out. Modules named in `SKIPPED_MODULES` are never imported.
    """
    distinct: dict[str, Document] = {}
    for document, doc in _members():
        known = distinct.get(doc)
        if known is None or _preference(document) < _preference(known):
            distinct[doc] = document
    by_id = {document.doc_id: document for document in distinct.values()}
    for doc_id in sorted(by_id):
        yield by_id[doc_id]
    yield from _topics()


def _preference(document: Document) -> tuple[int, str]:
    return len(document.doc_id), document.doc_id


def _members() -> Iterator[tuple[Document, str]]:
    for name in _module_names():
        module = _imported(name)
        if module is None:
            continue
        doc = _own_doc(module)
        if doc:
            yield _document(name, "module", name, "", doc), doc
        for member, thing in _public_members(name, module):
            yield from _described(_short_name(name, member, thing), thing, name)


def _short_name(module: str, member: str, thing: object) -> str:
    """The name under which most people import a thing: `open`, `asyncio.TaskGroup`."""
    if module == "builtins":
        return member
    packages = list(itertools.accumulate(module.split("."), "{}.{}".format))
    home = next((p for p in packages if getattr(sys.modules.get(p), member, None) is thing), module)
    return f"{home}.{member}"


def _described(qualified: str, thing: object, module: str) -> Iterator[tuple[Document, str]]:
    """The documents of a module's member: itself, and its methods if it is a class."""
    kind = "class" if inspect.isclass(thing) else "function" if inspect.isroutine(thing) else "object"
    doc = _own_doc(thing)
    if doc:
        yield _document(qualified, kind, module, _signature(qualified, thing), doc), doc
    if not inspect.isclass(thing):
        return
    for name, attribute in sorted(_own_attributes(thing).items()):
        method = attribute.__func__ if isinstance(attribute, (classmethod, staticmethod)) else attribute
        if name.startswith("_") or not (inspect.isroutine(method) or isinstance(method, property)):
            continue
        doc = _own_doc(method)
        if doc:
            method_id = f"{qualified}.{name}"
            yield _document(method_id, "method", module, _signature(method_id, method), doc), doc


def _own_attributes(cls: type) -> dict[str, object]:
    """A class's attributes with those of its private bases, unless a public base is heir to them already."""
    public = [base for base in cls.__mro__[1:] if not _is_private(base)]
    attributes: dict[str, object] = {}
    for base in reversed(cls.__mro__):
        if base is cls or (_is_private(base) and not any(issubclass(heir, base) for heir in public)):
            attributes.update(vars(base))
    return attributes


def _is_private(cls: type) -> bool:
    """True for a class that no public module offers: `_random.Random`, but not `pathlib._local.Path`."""
    package, *inside = cls.__module__.split(".")
    if cls.__name__.startswith("_") or package.startswith("_"):
        return True
    hidden = any(part.startswith("_") for part in inside)
    return hidden and getattr(sys.modules.get(package), cls.__name__, None) is not cls


def _topics() -> Iterator[Document]:
    """The chapters of the language reference that `help()` shows, one document each."""
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    seen: set[str] = set()
    for name in sorted(topics):
        lines = [line for line in topics[name].strip().splitlines() if not _HEADING_UNDERLINE.fullmatch(line)]
        text = "\n".join(lines).strip()
        if text and text not in seen:
            seen.add(text)
            metadata = {"kind": "topic", "module": "pydoc_data.topics"}
            yield Document(doc_id=f"topic:{name}", text=text, title=f"{lines[0].strip()} (topic)", metadata=metadata)


def _document(qualified: str, kind: str, module: str, signature: str, doc: str) -> Document:
    text = f"{signature}\n\n{doc}" if signature else doc
    return Document(
        doc_id=qualified,
        text=text,
        title=f"{qualified} ({kind})",
        metadata={"kind": kind, "module": module},
    )


def _module_names() -> list[str]:
    """Public modules of the standard library and of its packages, sorted.

    A submodule whose contents its package lists as its own is left to the package: `asyncio.runners` is `asyncio`.
    """
    names = set(_EXTRA_MODULES)
    waiting = [name for name in sys.stdlib_module_names if _is_public(name)]
    while waiting:
        name = waiting.pop()
        if name in _MACHINERY:
            continue
        names.add(name)
        package = _imported(name)
        if package is None or name in _PACKAGES_NOT_ENTERED or not hasattr(package, "__path__"):
            continue
        listed = {getattr(thing, "__module__", None) for _, thing in _public_members(name, package)}
        children = [child.name for child in pkgutil.iter_modules(package.__path__) if _is_public(child.name)]
        waiting += {f"{name}.{child}" for child in children} - listed
    return sorted(names)


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name not in SKIPPED_MODULES


def _imported(name: str) -> ModuleType | None:
    silence = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
    with warnings.catch_warnings(), silence[0], silence[1]:
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except Exception:  # A module made for another platform fails in its own way: KeyError, OSError, ...
            return None


def _public_members(name: str, module: ModuleType) -> Iterator[tuple[str, object]]:
    listed = getattr(module, "__all__", None)
    for member in sorted(set(vars(module) if listed is None else listed)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            thing = getattr(module, member, None)
        if member.startswith("_") or isinstance(thing, ModuleType) or not callable(thing):
            continue
        owner = getattr(thing, "__module__", None) or name
        if owner.split(".")[0] not in sys.stdlib_module_names:  # Put there by a program, as test runners do.
            continue
        if listed is not None or name == "builtins" or _belongs_to(owner, name):
            yield member, thing


def _belongs_to(owner: str, module: str) -> bool:
    """True if what `owner` defines is at home in `module`: its own, its submodule's or its accelerator's."""
    return owner == module or owner.startswith(("_", f"{module}."))


def _own_doc(thing: object) -> str:
    """The cleaned docstring, for a class also its constructor's; nothing where it is its type's or says nothing."""
    doc = getattr(thing, "__doc__", None)
    if doc is type(thing).__doc__ and not isinstance(thing, ModuleType):
        return ""
    if inspect.isclass(thing):
        if isinstance(doc, str) and re.fullmatch(rf"{thing.__name__}\(.*\)", doc):
            return ""  # The signature that dataclasses write.
        doc = doc or getattr(vars(thing).get("__init__"), "__doc__", None)
    cleaned = inspect.cleandoc(doc).strip() if isinstance(doc, str) else ""
    return "" if _MACHINE_WRITTEN.fullmatch(cleaned) else cleaned


def _signature(qualified: str, thing: object) -> str:
    """The call with parameter names and simple defaults, or nothing where Python does not know it."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing)):
        return ""
    try:
        signature = inspect.signature(thing)
    except Exception:  # inspect evaluates what the signature names, which may fail in any way
        return ""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty, default=_shown(parameter.default))
        for parameter in signature.parameters.values()
        if parameter.name not in ("self", "cls", "$self")
    ]
    return f"{qualified}{inspect.Signature(parameters)}"


def _shown(default: object) -> object:
    if default is inspect.Parameter.empty:
        return default
    names_a_place = isinstance(default, str) and len(default) > 1 and os.path.isabs(default)
    return default if type(default) in _PLAIN_DEFAULTS and not names_a_place else _Elided()
