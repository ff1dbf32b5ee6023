"""Whose page it is, and the way out; nothing where nobody logs in."""

from html import escape

import gradio as gr

from rag_app.web.access import Access
from ui.log_in import LOG_OUT
from ui.panels import AT_ONCE, Updates, connection


class AccountPanel:
    """The component, and what it shows; made inside the page's `gr.Blocks`.

    Args:
        access: knows who looks at the page.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self.html = gr.HTML(visible=False, elem_id="account")

    def wire(self, blocks: gr.Blocks) -> None:
        """Show it once a page is loaded."""
        blocks.load(self._open, None, [self.html], **AT_ONCE)

    async def _open(self, request: gr.Request) -> Updates:
        person = self._access.person(connection(request))
        logged_in = bool(person.name or (self._access.password and person.id))
        shown = account(person.name or self._access.user, person.role or "") if logged_in else ""
        return {self.html: gr.update(visible=logged_in, value=shown)}


def account(name: str, role: str) -> str:
    """The name of who is logged in, and a button that logs out; readers' pages go by the role."""
    return (
        f'<form class="account" data-role="{role}" method="post" action="{LOG_OUT}">'
        f'<span>{escape(name)}</span><button class="link">Log out</button></form>'
    )
