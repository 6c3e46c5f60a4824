"""`plum-desktop serve`: an OpenAI-compatible server on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from plum_desktop.cli.chat import memory_option
from plum_desktop.cli.session import Session, emit, json_option, pass_session

if TYPE_CHECKING:
    from plum_desktop.app.serving import MemoryMode
    from plum_desktop.engine.client import Cancellation, ChatResult

ENV_KEY = "PLUM_API_KEY"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True,
              help="0 takes any free one.")  # fmt: skip
@click.option("--api-key", envvar=ENV_KEY, help=f"What clients must present; or ${ENV_KEY}.")
@memory_option
@json_option
@pass_session
def serve(
    session: Session,
    host: str,
    port: int,
    api_key: str | None,
    memory: MemoryMode | None,
    as_json: bool,
) -> None:
    """Serve the model, with what it learned, at /v1/chat/completions until Ctrl-C."""
    from plum_desktop.app.serve import Server, make_app

    plum = session.plum
    served = plum.serving.served(memory)
    name = plum.models.file().name

    def chat(messages: Any, *, cancellation: Cancellation, **options: Any) -> ChatResult:
        return plum.serving.chat(messages, memory, cancellation=cancellation, **options)

    app = make_app(
        chat,
        model=name,
        host=host,
        api_key=api_key,
        max_tokens=plum.settings.max_tokens,
        temperature=plum.settings.temperature,
    )
    plum.serving.engine(memory)  # a model that does not load is said before anyone asks
    server = Server(app, host, port)
    where = f"[{host}]" if ":" in host else host
    url = f"http://{where}:{server.port}/v1"
    if as_json:
        emit({"url": url, "model": name, "memory": served.memory})
    else:
        click.echo(f"Serving {name} (memory: {served.memory}) at {url}; Ctrl-C ends it.")
    server.run()
