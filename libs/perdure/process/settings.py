"""The fields of a configuration struct as settings: names, help and conversion of each."""

import typing
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from perdure.base.durations import format_duration_ms, format_size_bytes, parse_duration_ms, parse_size_bytes
from perdure.base.errors import ConfigurationError


class Setting(msgspec.Struct, frozen=True):
    """One key of the configuration."""

    name: str
    section: str
    """Empty for what all processes have in common."""
    type: Any
    default: Any
    description: str
    unit: str
    """`duration`, `size`, or empty."""
    secret_of: str | None = None
    """The key whose value is in the file that this setting names."""

    @property
    def flag(self) -> str:
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        prefix = f"{self.section.upper()}__" if self.section else ""
        return f"PERDURE_{prefix}{self.name.upper()}"

    @property
    def metavar(self) -> str:
        if self.unit:
            return self.unit.upper()
        if self.is_mapping:
            return "JSON"
        return {int: "NUMBER", float: "NUMBER", bool: "true|false"}.get(_bare(self.type), "TEXT")

    @property
    def flag_options(self) -> dict[str, Any]:
        """A truth value may be left out: `--flag` is `--flag true`."""
        return {"nargs": "?", "const": "true"} if _bare(self.type) is bool else {}

    @property
    def help(self) -> str:
        """The line in `--help`; percent signs are argparse's."""
        return f"{self.description} [{self.variable}, default {self._shown_default()}]".replace("%", "%%")

    def parse(self, text: str, where: str) -> object:
        """Return the value of a text from a flag or a variable."""
        if self._is_sequence:
            return self._convert([part.strip() for part in text.split(",") if part.strip()], where)
        if self.is_mapping:
            return self._convert(_json(text, where), where)
        return self.convert(text, where)

    def convert(self, value: object, where: str) -> object:
        """Return the value of what a file says.

        Raises:
            ConfigurationError: Naming `where`.
        """
        try:
            if self.unit == "duration":
                value = parse_duration_ms(str(value))
            elif self.unit == "size" and isinstance(value, str):
                value = parse_size_bytes(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error.message}") from None
        return self._convert(value, where)

    @property
    def _is_sequence(self) -> bool:
        return typing.get_origin(_bare(self.type)) in (list, tuple)

    @property
    def is_mapping(self) -> bool:
        """Whether it is a table in the file, and JSON elsewhere."""
        return typing.get_origin(_bare(self.type)) is dict

    @property
    def _choices(self) -> list[str]:
        """Return the words of which it must be one; none where it is free."""
        patterns = (meta.pattern or "" for meta in _metas(self.type))
        return [word for pattern in patterns for word in pattern.removeprefix("^(").removesuffix(")$").split("|") if "|" in pattern]

    def _convert(self, value: object, where: str) -> object:
        try:
            return msgspec.convert(value, self.type, strict=False)
        except msgspec.ValidationError as error:
            if self._choices and isinstance(value, str):
                raise ConfigurationError(f"{where}: {value!r} is none of {', '.join(self._choices)}") from None
            shown = "" if self.unit or isinstance(value, list | dict) else f"{value!r}: "
            raise ConfigurationError(f"{where}: {shown}{error}") from None

    def _shown_default(self) -> str:
        if self.unit == "duration":
            return format_duration_ms(self.default)
        if self.unit == "size":
            return format_size_bytes(self.default)
        if isinstance(self.default, bool):
            return str(self.default).lower()
        if self._is_sequence:
            return ",".join(map(str, self.default)) or "empty"
        return str(self.default) if self.default not in ("", None, {}) else "empty"


def settings_of(kind: type[msgspec.Struct], common: set[str], section: str) -> list[Setting]:
    """Return the settings of a struct: those in `common` at the top level, the others in `section`.

    A secret gets a second setting, `<name>_file`.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    settings: list[Setting] = []
    for field in msgspec.structs.fields(kind):
        metas = list(_metas(hints[field.name]))
        extra: dict[str, object] = {}
        for meta in metas:
            extra.update(meta.extra or {})
        description = next((meta.description for meta in reversed(metas) if meta.description), "")
        assert description, f"{kind.__name__}.{field.name} has no description"
        default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
        where = "" if field.name in common else section
        settings.append(
            Setting(
                name=field.name,
                section=where,
                type=hints[field.name],
                default=default,
                description=description,
                unit=str(extra.get("unit", "")),
            )
        )
        if extra.get("is_secret"):
            settings.append(
                Setting(
                    name=f"{field.name}_file",
                    section=where,
                    type=str,
                    default="",
                    description=f"file with the {description}",
                    unit="",
                    secret_of=field.name,
                )
            )
    return settings


def _json(text: str, where: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise ConfigurationError(f"{where}: no JSON: {error}") from None


def _metas(hint: Any) -> Iterator[Meta]:  # a type expression is any object
    if typing.get_origin(hint) is Annotated:
        for meta in hint.__metadata__:
            if isinstance(meta, Meta):
                yield meta


def _bare(hint: Any) -> Any:  # a type expression is any object
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
