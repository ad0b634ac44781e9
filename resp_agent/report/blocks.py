"""What pages are put together from: sections, figures, folded parts, tables. All content given is HTML already."""


def section(title: str, content: str, lead: str = "") -> str:
    """A titled part of the page, with a sentence below its title."""
    return f"<section><h2>{title}</h2>{f'<p>{lead}</p>' if lead else ''}{content}</section>"


def figure(picture: str, caption: str = "") -> str:
    """A picture in a card; where it is wider than the screen it scrolls in its own box."""
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure class="card"><div class="scroll">{picture}</div>{below}</figure>'


def folded(title: str, content: str, kind: str = "", unfolded: bool = False) -> str:
    """A part that a reader opens."""
    start = f'<details class="{kind}"' if kind else "<details"
    return f"{start}{' open' if unfolded else ''}><summary>{title}</summary>{content}</details>"


def table(head: str, rows: list[str], kind: str, caption: str) -> str:
    """A table of the class `kind`, which scrolls in its own box where it is wider than the screen."""
    return (
        f'<div class="scroll"><table class="{kind}"><caption>{caption}</caption><thead>{head}</thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )
