"""A lesson as plain Markdown, and as a marimo notebook.

In: a `MeasuredLesson`. Out: texts. Must not know HTML.
"""

import ast
import builtins
from collections.abc import Iterator

from unbend.learn.running import MeasuredLesson, Prediction, fields
from unbend.learn.source import Lesson, LessonPart

_HEAD = """import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo
    return (mo,)
"""


def markdown(ran: MeasuredLesson, figure: str) -> str:
    """The lesson as one Markdown text with its numbers filled in.

    Args:
        ran: the lesson.
        figure: the path of its figure, relative to the text.
    """
    lesson = ran.lesson
    lines = [f"# {lesson.number}. {lesson.title}", lesson.lead]
    for section in lesson.sections:
        lines.append(f"## {section.title}")
        if section.title == "What comes out":
            lines.append(f"![{lesson.title}]({figure})")
        lines += [_plain(ran, part) for part in section.parts]
    return "\n\n".join(ran.fill(line).strip() if "```" not in line else line.strip() for line in lines if line) + "\n"


def _plain(ran: MeasuredLesson, part: LessonPart) -> str:
    if part.kind == "python":
        return f"```python\n{part.text}```"
    if part.kind == "prediction":
        asked = ran.prediction
        return f"**{asked.ask}** Write down a number from {asked.low:g} to {asked.high:g} before you read on."
    if part.kind == "live":
        return _elsewhere(part)
    return part.text


def _elsewhere(part: LessonPart) -> str:
    """What stands for a figure that only a page can move."""
    return f"*On the page of this lesson: {fields(part.text)['caption'].strip(chr(34))}*"


def notebook(ran: MeasuredLesson) -> str:
    """The lesson as the source of a marimo notebook: text, code that runs, and the prediction as a slider."""
    lesson = ran.lesson
    cells = [_HEAD, _text_cell(f"# {lesson.number}. {lesson.title}\n\n{lesson.lead}")]
    known: set[str] = set()
    for section in lesson.sections:
        cells.append(_text_cell(f"## {section.title}"))
        if section.title == "What comes out":
            cells.append(_cell(["mo.stop(not shown.value)", "figure"], {"mo", "shown", "figure"}, set()))
        for part in section.parts:
            if part.kind == "python":
                defined, used = defined_and_used(part.text)
                cells.append(_cell(part.text.rstrip().split("\n"), used & known, defined))
                known |= defined
            elif part.kind == "prediction":
                cells += _slider(ran.prediction, fields(part.text)["answer"], known)
            elif part.kind == "live":
                cells.append(_text_cell(_elsewhere(part), is_result=section.title == "What comes out"))
            elif part.kind == "text":
                cells.append(_text_cell(ran.fill(part.text), is_result=section.title == "What comes out"))
    return "\n\n".join([*cells, 'if __name__ == "__main__":\n    app.run()\n'])


def defined_and_used(block: str) -> tuple[set[str], set[str]]:
    """The names that a block gives to its lesson, and those it takes: what marimo orders cells by."""
    tree = ast.parse(block)
    defined = {name for node in tree.body for name in _bindings(node)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return defined, used - defined - set(dir(builtins))


def _bindings(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
    else:
        yield from _stored_names(node)


def _stored_names(node: ast.AST) -> Iterator[str]:
    """Names stored outside of comprehensions, whose names are their own; one with an underscore stays in its cell."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and not node.id.startswith("_"):
        yield node.id
    if not isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda):
        for child in ast.iter_child_nodes(node):
            yield from _stored_names(child)


def _slider(asked: Prediction, answer: str, known: set[str]) -> list[str]:
    words = f"start={asked.low:g}, stop={asked.high:g}, step={asked.step:g}, label={asked.ask!r}, show_value=True"
    used = {node.id for node in ast.walk(ast.parse(answer)) if isinstance(node, ast.Name)} & known
    told = f'mo.md(f"You said {{guess.value:g}} {asked.unit}; it is {{_answer:.3g}}.")'
    return [
        _cell(
            [
                f"guess = mo.ui.slider({words})",
                'shown = mo.ui.run_button(label="I say so")',
                "mo.vstack([guess, shown])",
            ],
            {"mo"},
            {"guess", "shown"},
        ),
        _cell(["mo.stop(not shown.value)", f"_answer = float({answer})", told], {"mo", "guess", "shown", *used}, set()),
    ]


def _text_cell(text: str, *, is_result: bool = False) -> str:
    hidden = ["mo.stop(not shown.value)"] if is_result else []
    quoted = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return _cell([*hidden, f'mo.md("""{quoted}""")'], {"mo", *({"shown"} if is_result else set())}, set(), is_text=True)


def _cell(lines: list[str], used: set[str], defined: set[str], *, is_text: bool = False) -> str:
    """One cell; the lines of a text stand as they are, since an indent would change them."""
    body = "\n".join(lines) if is_text else "\n".join(f"    {line}" if line else "" for line in lines)
    if is_text:
        body = "\n".join(["    " + lines[0], *(f"    {line}" for line in lines[1:])])
    given = f"    return ({', '.join(sorted(defined))},)" if defined else "    return"
    return f"@app.cell\ndef _({', '.join(sorted(used))}):\n{body}\n{given}"


def names_given_twice(lesson: Lesson) -> set[str]:
    """Names that two blocks of a lesson define: a notebook that orders cells by their names refuses them."""
    seen: set[str] = set()
    twice: set[str] = set()
    for block in lesson.code():
        defined, _ = defined_and_used(block)
        twice |= seen & defined
        seen |= defined
    return twice
