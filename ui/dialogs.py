"""HTML of the page's dialogs: `<dialog>` elements, which a browser keeps apart from the page.

A button opens one by its id (``data-opens``). What a dialog's form holds is sent as it is closed;
one that is rendered with ``data-open`` opens itself (`ui/dialog.js`).
"""

import secrets
from html import escape

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


def _dialog(
    name: str, title: str, about: str, fields: str, buttons: str, *, is_open: bool = False
) -> str:
    # the Enter key presses the first button, which the style sheet puts last
    mark = f' data-open="{secrets.token_hex(4)}"' if is_open else ""
    return (
        f'<dialog id="{name}" aria-labelledby="{name}-title"{mark}><form method="dialog">'
        f'<h2 id="{name}-title">{title}</h2><p>{about}</p>{fields}'
        f'<div class="buttons">{buttons}</div></form></dialog>'
    )
