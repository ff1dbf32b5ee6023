"""HTML of the page's dialogs: `<dialog>` elements, which a browser keeps apart from the page.

A button opens one by its id (``data-opens``). What a dialog's form holds is sent as it is closed;
one that is rendered with ``data-open`` opens itself (`ui/dialog.js`).
"""

import secrets
from collections.abc import Sequence
from html import escape

from rag_app.probes.connecting import Found
from ui.rendering import problem


def new_collection(waiting: int = 0, name: str = "", error: str = "") -> str:
    """Asks for the name of a new collection.

    Args:
        waiting: files that were uploaded to the samples, and go into it instead.
        name: stands in the field.
        error: why the last name was refused; the dialog is then open.
    """
    files = f"{waiting} file" + "s" * (waiting != 1)
    about = (
        f"The samples are open. {files} of yours would go into a collection of your own:"
        if waiting
        else "Documents that are asked together. It is empty at first, and takes your next upload."
    )
    samples = (
        '<button name="act" value="samples" class="quiet" formnovalidate>Put among the samples'
        "</button>"
    )
    fields = (
        f'<label>Name<input name="name" required maxlength="64" autocomplete="off" autofocus '
        f'value="{escape(name)}"></label>'
        f"{problem(error) if error else ''}"
    )
    buttons = (
        f'<button name="act" value="create">{"Create and add" if waiting else "Create"}</button>'
        '<button name="act" value="cancel" class="quiet" formnovalidate>Cancel</button>'
        f"{samples if waiting else ''}"
    )
    return _dialog(
        "new-collection", "New collection", about, fields, buttons, is_open=bool(waiting or error)
    )


def add_source(given: str = "", error: str = "") -> str:
    """Asks for a folder or an address to ingest.

    Args:
        given: stands in the field.
        error: why it was refused; the dialog is then open.
    """
    about = (
        "A folder of the computer that rag-app runs on, with all below it; or the address of a "
        "document on the web. The same again brings what has changed."
    )
    fields = (
        '<label>Folder or address<input name="source" required maxlength="2000" autocomplete="off" '
        f'autofocus placeholder="https://example.org/report.pdf" value="{escape(given)}"></label>'
        f"{problem(error) if error else ''}"
    )
    buttons = (
        '<button name="act" value="add">Add</button>'
        '<button name="act" value="cancel" class="quiet" formnovalidate>Cancel</button>'
    )
    return _dialog("add-source", "Add a source", about, fields, buttons, is_open=bool(error))


def connect_model(
    *,
    address: str = "",
    model: str = "",
    found: Sequence[Found] | None = None,
    models: Sequence[str] = (),
    error: str = "",
    done: str = "",
    is_open: bool = False,
) -> str:
    """Asks which language model shall read; what is typed as a key never comes back.

    Args:
        address: of its server.
        model: its name.
        found: servers of this machine, once they were looked for.
        models: names that the server lists, to choose from.
        error: why something did not work.
        done: what the test of a model that reads now has shown.
        is_open: whether the dialog stays open.
    """
    title, close = "Connect a model", '<button name="act" value="cancel">Close</button>'
    if done:
        about = f"Connected: {escape(done)}. It reads from the next question on."
        return _dialog("connect-model", title, about, "", close, is_open=True)
    about = (
        "A language model that writes the answers: any server that speaks OpenAI's API. It gets "
        "your questions and the passages found for them."
    )
    chosen = f'value="{escape(model)}"'
    field = f'<input name="model" maxlength="200" autocomplete="off" {chosen}>'
    if models:
        options = "".join(
            f"<option{' selected' if name == model else ''}>{escape(name)}</option>"
            for name in models
        )
        field = f'<select name="model">{options}</select>'
    fields = (
        '<p><button type="button" class="inline" data-send="find">Look on this computer</button>'
        f"</p>{'' if found is None else _servers(found)}"
        f'<label>Address<input name="address" maxlength="500" autocomplete="off" '
        f'placeholder="http://127.0.0.1:11434/v1" value="{escape(address)}"></label>'
        '<label>Key<input name="key" type="password" maxlength="500" autocomplete="off" '
        'placeholder="only where the server asks for one"></label>'
        f"<label>Model{field}</label>"
        '<p><button type="button" class="inline" data-send="models">List its models</button></p>'
        f'<div class="reply" aria-live="polite">{problem(error) if error else ""}</div>'
    )
    buttons = (
        '<button name="act" value="use">Test and use</button>'
        '<button name="act" value="cancel" class="quiet">Cancel</button>'
    )
    return _dialog("connect-model", title, about, fields, buttons, is_open=is_open, stays=True)


def _servers(found: Sequence[Found]) -> str:
    if not found:
        return "<p>None answers by the usual ports of Ollama, LM Studio, llama.cpp and vLLM.</p>"
    rows = "".join(
        f'<li><button type="button" class="inline" data-send="pick" data-pick="{i}">'
        f"<b>{escape(one.name)}</b> {escape(one.address)}, "
        f"{len(one.models)} model{'' if len(one.models) == 1 else 's'}</button></li>"
        for i, one in enumerate(found)
    )
    return f'<ul class="servers">{rows}</ul>'


def _dialog(
    name: str,
    title: str,
    about: str,
    fields: str,
    buttons: str,
    *,
    is_open: bool = False,
    stays: bool = False,
) -> str:
    # the Enter key presses the first button, which the style sheet puts last
    mark = f' data-open="{secrets.token_hex(4)}"' if is_open else ""
    mark += " data-stays" if stays else ""  # until the answer comes
    return (
        f'<dialog id="{name}" aria-labelledby="{name}-title"{mark}><form method="dialog">'
        f'<h2 id="{name}-title">{title}</h2><p>{about}</p>{fields}'
        f'<div class="buttons">{buttons}</div></form></dialog>'
    )
