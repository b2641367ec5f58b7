"""Build a program's command line from the frozen dataclass of its settings, where each setting is said once."""

import inspect
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    import typer

Settings = TypeVar("Settings")

SHARED: Final = "LOOKALIKE_"
"""Variables that all programs share begin with this; the others have the program's name after it."""


@dataclass(frozen=True)
class Option:
    """An option is how a setting is given on the command line and in the environment.

    Attributes:
        help: one sentence for `--help`, with the unit.
        name: the flag's name if it is not the field's.
        variable: the environment variable; the default is the program's prefix and the name.
        shared: whether all programs share the variable.
        min: the least value.
        max: the greatest value.
        folder: whether it must be a folder that exists.
    """

    help: str
    name: str = ""
    variable: str = ""
    shared: bool = False
    min: float | None = None
    max: float | None = None
    folder: bool = False


@dataclass(frozen=True)
class _Setting:
    """A field of the dataclass that has an option."""

    field: "Field[Any]"
    kind: Any
    option: Option

    @property
    def name(self) -> str:
        """The name of the parameter."""
        return self.option.name or self.field.name

    def parameter(self, prefix: str, own: Collection[str]) -> inspect.Parameter:
        """Return the parameter that Typer makes an option of."""
        import typer

        option, kind, default = self.option, self.kind, _default(self.field)
        if get_origin(kind) is tuple:
            kind, default = list[get_args(kind)[0]] | None, None  # type: ignore[misc] # known at run time
        shared = option.shared and self.name not in own
        typer_option = typer.Option(
            *(["--" + self.name.replace("_", "-")] if kind is bool else []),  # without it there would be a --no-… too
            envvar=option.variable or (SHARED if shared else prefix) + self.name.upper(),
            help=option.help,
            min=option.min,
            max=option.max,
            exists=option.folder,
            file_okay=not option.folder,
            case_sensitive=False,
        )
        annotation = Annotated[kind, typer_option]  # type: ignore[valid-type] # known at run time
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    def value(self, raw: Any) -> Any:  # noqa: ANN401 - of the field's type
        """Return what the field holds for what was given; an empty text means nothing where there may be nothing."""
        if get_origin(self.kind) is tuple:
            return tuple(raw or ())
        return None if raw == "" and _may_be_none(self.kind) else raw


def configured(
    kind: type[Settings], prefix: str, *, own: Collection[str] = (), without: Collection[str] = ()
) -> "Callable[[Callable[[typer.Context, Settings], None]], Callable[..., None]]":
    """Let Typer call a function with the settings that the command line and the environment say.

    Args:
        kind: the frozen dataclass; a field that is a dataclass itself is flattened, one without an Option is left out.
        prefix: with which the program's own variables begin, for example `LOOKALIKE_SEARCHER_`.
        own: shared options that have a variable of the program's own all the same.
        without: options that the program does not have.
    """

    def decorate(command: "Callable[[typer.Context, Settings], None]") -> Callable[..., None]:
        import typer  # servers that are run by other programs do without it

        def run(context: typer.Context, **arguments: Any) -> None:  # noqa: ANN401 - what the options hold
            command(context, _built(kind, arguments))

        context = inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        options = [each.parameter(prefix, own) for each in _settings(kind) if each.name not in without]
        run.__name__, run.__doc__ = command.__name__, command.__doc__
        run.__signature__ = inspect.Signature([context, *options])  # type: ignore[attr-defined] # Typer reads it
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in (context, *options)}
        return run

    return decorate


def _parts(kind: type) -> Iterator["tuple[str, _Setting | type]"]:
    """Yield the fields of a dataclass that are settings, and those that are dataclasses and may hold more."""
    hints = get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint):
            yield field.name, hint  # type: ignore[misc] # a class
        elif get_origin(hint) is Annotated and isinstance(option := get_args(hint)[1], Option):
            yield field.name, _Setting(field, get_args(hint)[0], option)


def _settings(kind: type) -> Iterator[_Setting]:
    """Yield the settings of a dataclass, and of those that it holds, in their order."""
    for _, part in _parts(kind):
        if isinstance(part, _Setting):
            yield part
        else:
            yield from _settings(part)


def _built(kind: type[Settings], arguments: Mapping[str, Any]) -> Settings:
    """Return the dataclass, and those that it holds, of what was given."""
    values: dict[str, Any] = {}
    for name, part in _parts(kind):
        if not isinstance(part, _Setting):
            values[name] = _built(part, arguments)
        elif part.name in arguments:
            values[name] = part.value(arguments[part.name])
    return kind(**values)


def _default(field: "Field[Any]") -> Any:  # noqa: ANN401 - of the field's type
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _may_be_none(kind: Any) -> bool:  # noqa: ANN401 - a type
    return get_origin(kind) in (Union, types.UnionType) and type(None) in get_args(kind)
