"""SQL as the gates look at it: single statements, in one spelling, with the tables they are about.

Not a parser: the words of a statement with strings, function bodies and comments out of the way, which is enough to
recognise DDL. What it does not recognise, the gates call unknown.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*.*?\*/)
    | (?P<string>[eE]'(?:[^'\\]|\\.|'')*'|[bBxX]?'(?:[^']|'')*')
    | (?P<body>(?P<tag>\$(?:[A-Za-z_]\w*)?\$).*?(?P=tag))
    | (?P<quoted>"(?:[^"]|"")*")
    | (?P<word>[A-Za-z_][\w$]*|\d[\w.]*)
    | (?P<space>\s+)
    | (?P<sign>::|.)""",
    re.DOTALL | re.VERBOSE,
)
NAME = r'(?:"[^"]*"|[\w$]+)(?:\.(?:"[^"]*"|[\w$]+))*'
IN_BATCHES = f"in batches {secrets.token_hex(8)}"
"""What a comment says of a statement that is sent a batch a transaction (db.migrations.batches).

Drawn anew by each process: no file can say it of a statement that is sent as a whole.
"""
_BOOKKEEPING = re.compile(r"(?:insert into|update|delete from|create table) (?:[\w$]+\.)?alembic_version\b")


@dataclass(frozen=True)
class Statement:
    """`text` is as it was written; `words` has lower case, single spaces, and no contents of strings."""

    text: str
    words: str
    batched: bool = False

    @property
    def headline(self) -> str:
        """Its beginning, for a message."""
        line = " ".join(self.text.split())
        return line if len(line) <= 120 else f"{line[:117]}..."  # noqa: PLR2004  # a terminal's line


CONTROL = re.compile(r"(?:begin|start transaction|commit|end|rollback|abort|savepoint|release)\b")
"""What begins or ends a transaction."""


def split(sql: str) -> Iterator[Statement]:
    """The statements of `sql`, without those that keep Alembic's books."""
    return (it for it in every(sql) if not _BOOKKEEPING.match(it.words))


def every(sql: str) -> Iterator[Statement]:
    """The statements of `sql`."""
    text, words, batched = "", list[str](), False
    for token in _TOKEN.finditer(f"{sql};"):
        kind, value = token.lastgroup, token.group()
        if kind == "tag":
            kind = "body"
        if value == ";" and kind == "sign" and not _in_body(words):
            found = Statement(text.strip(), _joined(words), batched)
            if words:
                yield found
            text, words, batched = "", [], False
            continue
        if kind == "comment":
            batched = batched or value.startswith(f"/* {IN_BATCHES} ")
            continue
        text += value
        if kind == "string":
            words.append("''")
        elif kind == "body":
            words.append("$$")
        elif kind != "space":
            words.append(value if kind == "quoted" else value.lower())


def _in_body(words: list[str]) -> bool:
    """Whether a function's BEGIN ATOMIC was not ended yet: its statements have semicolons too."""
    if words[:1] != ["create"] or not {"function", "procedure"} & set(words[1:4]):
        return False
    return ("begin", "atomic") in pairwise(words) and words.count("end") <= words.count("case")


def _joined(words: list[str]) -> str:
    joined = " ".join(words)
    return re.sub(r" ?(\.|::) ?", r"\1", joined).replace("( ", "(").replace(" )", ")").replace(" ,", ",")


def actions(words: str) -> list[str]:
    """What stands between the commas that are in no parentheses."""
    parts, depth = [""], 0
    for character in words:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def outermost(words: str) -> str:
    """`words` without what is in parentheses."""
    kept, depth = "", 0
    for character in words:
        depth += {"(": 1, ")": -1}.get(character, 0)
        kept += character if depth == 0 else ""
    return kept


def qualified(name: str, app: str) -> str:
    """`name` with its schema, unquoted where that changes nothing; the app's schema is first on the search_path."""
    plain = re.sub(r'"([a-z_][a-z0-9_$]*)"', r"\1", name)
    return plain if "." in plain else f"{app}.{plain}"


TABLE = re.compile(
    rf"create (?:temp |temporary |unlogged )*table (?:if not exists )?(?P<table>{NAME})"
    rf"(?: partition of (?P<parent>{NAME}))?"
)
INDEX = re.compile(
    rf"create (?:unique )?index (?P<concurrently>concurrently )?(?:if not exists )?"
    rf"(?:(?P<index>(?!on ){NAME}) )?on (?:only )?(?P<table>{NAME})"
)
ALTER = re.compile(rf"alter table (?:if exists )?(?:only )?(?P<table>{NAME}) (?:\* )?(?P<actions>.*)")
_REFERENCES = re.compile(rf"(?:constraint (?P<name>{NAME}) (?:(?!constraint).)*?)?references (?P<table>{NAME})")
_NOT_NULL = re.compile(rf"add constraint (?P<name>{NAME}) check \(+(?P<column>{NAME}) is not null\)+")
_DROP_CONSTRAINT = re.compile(rf"drop constraint (?:if exists )?(?P<name>{NAME})")
_VALIDATE = re.compile(rf"validate constraint (?P<name>{NAME})")
_WRITE = re.compile(rf"(?:insert into|update(?: only)?|delete from(?: only)?|merge into|copy) (?P<table>{NAME})")
_ON = re.compile(
    rf"(?:create|alter|drop) (?:or replace )?(?:constraint )?(?:trigger|policy|rule) .*? (?:on|to) (?P<table>{NAME})"
)
_GRANTED = re.compile(
    r"(?:grant|revoke) .*? on (?:table )?(?!(?:all|schema|sequence|function|procedure|routine|type|domain|database) )"
    rf"(?P<names>{NAME}(?:, {NAME})*) (?:to|from) "
)
_ATTACHED = re.compile(rf"(?:attach|detach) partition (?P<table>{NAME})")
TRUNCATE = re.compile(rf"truncate (?:table )?(?:only )?(?P<names>{NAME}(?:, (?:only )?{NAME})*)")
_MADE = re.compile(rf"create (?:or replace )?(?P<kind>function|procedure|domain) (?P<name>{NAME})")
_DROPPED = re.compile(rf"drop (?P<kind>table|index) (?:concurrently )?(?:if exists )?(?P<names>{NAME}(?:, {NAME})*)")


@dataclass
class Schema:
    """What earlier statements made, as far as the gates ask for it; names with their schema."""

    app: str
    tables: set[str] = field(default_factory=set)
    indexes: dict[str, str] = field(default_factory=dict)
    """Tables by index."""
    references: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """By table and constraint (or a number): the table it refers to, and its definition."""
    partitioned: set[str] = field(default_factory=set)
    """Tables whose rows are all in partitions."""
    functions: set[str] = field(default_factory=set)
    domains: set[str] = field(default_factory=set)
    """Those with a condition, which a new column's rows are checked for."""
    not_null: dict[tuple[str, str], str] = field(default_factory=dict)
    """Column by the table and the name of a CHECK that it is not null."""
    proven: set[tuple[str, str]] = field(default_factory=set)
    """Columns that such a CHECK was validated for: SET NOT NULL then reads no row."""

    def name(self, name: str) -> str:
        return qualified(name, self.app)

    def changed(self, statement: Statement) -> set[str]:
        """The tables that `statement` changes or makes: not those that it only refers to."""
        words = statement.words
        if dropped := _DROPPED.match(words):
            names = [self.name(name) for name in actions(dropped["names"])]
            return {self.indexes.get(name, name) if dropped["kind"] == "index" else name for name in names}
        for pattern in (TRUNCATE, _GRANTED):
            if found := pattern.match(words):
                return {self.name(name.removeprefix("only ")) for name in actions(found["names"])}
        for pattern in (TABLE, INDEX, ALTER, _WRITE, _ON):
            if found := pattern.match(words):
                attached = {self.name(name) for name in _ATTACHED.findall(words)} if pattern is ALTER else set()
                return {self.name(found["table"]), *attached}
        return set()

    def called(self, statement: Statement) -> set[str]:
        """The functions of earlier statements, or of the app's schema, that `statement` calls."""
        # after INTO or REFERENCES stands a table with its columns
        names = {
            self.name(name) for name in re.findall(rf"(?<!into )(?<!references )(?<![\w.])({NAME}) \(", statement.words)
        }
        unknown = {name for name in names if name.startswith(f"{self.app}.") and f" {name} (" in f" {statement.words}"}
        return (names & self.functions) | (unknown - self.tables)

    def learn(self, statement: Statement) -> None:
        """Take in what `statement` makes."""
        words = statement.words
        if table := TABLE.match(words):
            made = self.name(table["table"])
            self.tables.add(made)
            if re.search(r"\) partition by ", words):
                self.partitioned.add(made)
            for part in actions(words.partition("(")[2]):
                self._refer(made, part)
        elif (index := INDEX.match(words)) and index["index"]:
            made = self.name(index["table"])
            schema = made.rpartition(".")[0]
            self.indexes[qualified(index["index"].rpartition(".")[2], schema)] = made
        elif other := _MADE.match(words):
            if other["kind"] != "domain":
                self.functions.add(self.name(other["name"]))
            elif re.search(r"\bcheck \(|\bnot null\b", words):
                self.domains.add(self.name(other["name"]))
        elif alter := ALTER.match(words):
            table_name = self.name(alter["table"])
            for action in actions(alter["actions"]):
                self._refer(table_name, action)
                self._prove(table_name, action)

    def _prove(self, table: str, action: str) -> None:
        """Take in what an action of ALTER TABLE says of NULL in a column."""
        if check := _NOT_NULL.match(action):
            self.not_null[table, check["name"]] = check["column"]
            if not action.endswith("not valid"):
                self.proven.add((table, check["column"]))
        elif (valid := _VALIDATE.match(action)) and (table, valid["name"]) in self.not_null:
            self.proven.add((table, self.not_null[table, valid["name"]]))
        elif gone := _DROP_CONSTRAINT.match(action):
            self.proven.discard((table, self.not_null.pop((table, gone["name"]), "")))

    def _refer(self, table: str, words: str) -> None:
        for found in _REFERENCES.finditer(words):
            constraints = self.references.setdefault(table, {})
            constraints[found["name"] or str(len(constraints))] = (self.name(found["table"]), words)
