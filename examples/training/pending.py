# SPDX-License-Identifier: Apache-2.0
"""What is pending at some servers over time, as a picture: sampled from the monitoring pages, drawn for a terminal and as SVG."""
import json
import threading
import time
import urllib.error
import urllib.request
from xml.sax.saxutils import escape

COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")  # told apart by everybody (Okabe and Ito)
BLOCKS = "█▓▒░▚▞"
ASK_SECONDS = 2


def page(http_url, channel):
    """What a server says of a channel; None when it does not answer. A channel that nobody has heard of is empty."""
    try:
        with urllib.request.urlopen(f"{http_url}/streaming/channelsz?channel={channel}&subs=1", timeout=ASK_SECONDS) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return {} if error.code == 404 else None
    except (OSError, ValueError):
        return None


def ask(http_url, channel):
    """(messages, bytes) that are not finished in a channel of a server; None when it does not answer."""
    answer = page(http_url, channel) if http_url else None
    return None if answer is None else (answer.get("backlog_msgs", 0), answer.get("backlog_bytes", 0))


class Recorder(threading.Thread):
    """Asks `urls` (a function giving each server's monitoring address, or None) every `seconds`, until stop()."""

    def __init__(self, names, urls, channel, seconds):
        super().__init__(daemon=True)
        self.names, self.urls, self.channel, self.seconds = names, urls, channel, seconds
        self.begin = None  # of the picture: start()
        self.samples = []  # (seconds since the begin, [(messages, bytes) or None for each server])
        self.marks = []    # (seconds since the begin, what happened)
        self.ended = threading.Event()

    def start(self):
        self.begin = time.monotonic()
        super().start()

    def run(self):
        while True:
            last = self.ended.is_set()
            answers = [ask(url, self.channel) for url in self.urls()]
            self.samples.append((time.monotonic() - self.begin, answers))
            if last:
                return
            self.ended.wait(self.seconds)

    def stop(self):
        self.ended.set()
        self.join()

    def mark(self, text):
        self.marks.append((time.monotonic() - self.begin, text))

    def columns(self, count):
        """The samples in `count` equal parts of the time; of each part the first, or that of the part before."""
        parts, last = [], self.samples[0][1]
        end = self.samples[-1][0] or 1
        rest = list(self.samples)
        for part in range(count):
            mine = []
            while rest and rest[0][0] <= end * (part + 1) / count:
                mine.append(rest.pop(0)[1])
            last = mine[0] if mine else last
            parts.append(last)
        return parts


def total(answers, what):
    return sum(answer[what] for answer in answers if answer)


# ---- for a terminal

def draw_text(record, width=72, height=8):
    """Messages as bars, a pattern for each server; then a line with its bytes for each."""
    columns = record.columns(width)
    highest = max(1, max(total(answers, 0) for answers in columns))
    lines = ["jobs pending, " + ", ".join(f"{BLOCKS[i % len(BLOCKS)]} {name}" for i, name in enumerate(record.names)) + ", × down"]
    for row in range(height, 0, -1):
        label = f"{highest * row / height:6.1f}" if row in (height, height // 2) else ""
        lines.append(f"{label:>7} ┤" + "".join(cell(answers, highest * (row - 0.5) / height) for answers in columns).rstrip())
    lines.append(" " * 8 + "└" + "─" * width)
    seconds = f"{record.samples[-1][0]:.0f} s"
    lines.append(" " * 9 + "0" + seconds.rjust(width - 1))
    lines += draw_marks(record, width)
    lines.append("bytes pending")
    highest = max(1, max((answer[1] for answers in columns for answer in answers if answer), default=1))
    for index, name in enumerate(record.names):
        line = "".join("×" if answers[index] is None else " ▁▂▃▄▅▆▇█"[-(-8 * answers[index][1] // highest)] for answers in columns)
        most = max((answers[index][1] for answers in columns if answers[index]), default=0)
        lines.append(f"{name:>8} {line.rstrip():{width}} at most {size(most)}")
    return "\n".join(lines)


def cell(answers, level):
    for index, answer in enumerate(answers):
        if answer:
            level -= answer[0]
        if answer and level < 0:
            return BLOCKS[index % len(BLOCKS)]
    return " "


def draw_marks(record, width):
    end = record.samples[-1][0] or 1
    signs, words = [" "] * width, []
    for number, (when, text) in enumerate(record.marks):
        signs[min(width - 1, int(when / end * width))] = chr(ord("a") + number % 26)
        words.append(f"{' ' * 9}{chr(ord('a') + number % 26)}  {when:5.1f} s  {text}")
    return [" " * 9 + "".join(signs).rstrip(), *words]


def size(count):
    return f"{count} B" if count < 1000 else f"{count / 1000:.0f} kB" if count < 1e6 else f"{count / 1e6:.1f} MB"


# ---- SVG

LEFT, TOP, WIDTH, HEIGHT, GAP = 70, 72, 780, 170, 60


def draw_svg(record):
    """Two panels, messages and bytes: an area for each server, one on the other; grey where a server did not answer."""
    notes = len(record.marks) * 16
    whole = TOP + 2 * HEIGHT + GAP + 50 + notes
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 30} {whole}" font-family="sans-serif" font-size="12">',
             '<rect width="100%" height="100%" fill="#fff"/>',
             f'<text x="{LEFT}" y="24" font-size="16" font-weight="bold">Jobs pending at {len(record.names)} servers</text>']
    for index, name in enumerate(record.names):
        parts.append(f'<rect x="{LEFT + index * 110}" y="34" width="12" height="12" fill="{COLORS[index % len(COLORS)]}"/>'
                     f'<text x="{LEFT + 18 + index * 110}" y="44">{escape(name)}</text>')
    parts += draw_panel(record, TOP, 0, "messages", lambda value: f"{value:g}")
    parts += draw_panel(record, TOP + HEIGHT + GAP, 1, "bytes", lambda value: size(int(value)))
    for number, (when, text) in enumerate(record.marks):
        y = TOP + 2 * HEIGHT + GAP + 50 + number * 16
        parts.append(f'<text x="{LEFT}" y="{y}">{chr(ord("a") + number % 26)}: {when:.1f} s, {escape(text)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def draw_panel(record, top, what, title, label):
    end = record.samples[-1][0] or 1
    highest = round_up(max(1, max(total(answers, what) for _, answers in record.samples)))
    place = lambda when, value: f"{LEFT + WIDTH * when / end:.1f},{top + HEIGHT * (1 - value / highest):.1f}"
    parts = [f'<text x="{LEFT}" y="{top - 6}" fill="#555">{title}</text>']
    for step in range(5):
        y = top + HEIGHT * (1 - step / 4)
        parts.append(f'<path d="M{LEFT} {y:.1f}h{WIDTH}" stroke="#ddd"/><text x="{LEFT - 8}" y="{y + 4:.1f}" '
                     f'text-anchor="end" fill="#555">{label(highest * step / 4)}</text>')
        parts.append(f'<text x="{LEFT + WIDTH * step / 4:.1f}" y="{top + HEIGHT + 16}" text-anchor="middle" '
                     f'fill="#555">{end * step / 4:.0f} s</text>')
    below = [0] * len(record.samples)
    for index, name in enumerate(record.names):
        above = [low + (answers[index][what] if answers[index] else 0) for low, (_, answers) in zip(below, record.samples)]
        points = [place(when, value) for (when, _), value in zip(record.samples, above)]
        points += [place(when, value) for (when, _), value in reversed(list(zip(record.samples, below)))]
        parts.append(f'<polygon points="{" ".join(points)}" fill="{COLORS[index % len(COLORS)]}" fill-opacity="0.85"><title>{escape(name)}</title></polygon>')
        below = above
    for index, name in enumerate(record.names):
        for begin, stop in silences(record, index):
            parts.append(f'<rect x="{LEFT + WIDTH * begin / end:.1f}" y="{top}" width="{max(1, WIDTH * (stop - begin) / end):.1f}" height="{HEIGHT}" '
                         f'fill="{COLORS[index % len(COLORS)]}" fill-opacity="0.12"><title>{escape(name)} is down</title></rect>')
    for number, (when, _) in enumerate(record.marks):
        x = LEFT + WIDTH * min(when, end) / end
        parts.append(f'<path d="M{x:.1f} {top}v{HEIGHT}" stroke="#555" stroke-dasharray="3 3"/>'
                     f'<text x="{x + 3:.1f}" y="{top + 11}" fill="#333">{chr(ord("a") + number % 26)}</text>')
    return parts


def silences(record, index):
    """When a server did not answer: [(begin, end)]."""
    spans, begin = [], None
    for when, answers in record.samples:
        if answers[index] is None and begin is None:
            begin = when
        elif answers[index] is not None and begin is not None:
            spans.append((begin, when))
            begin = None
    return spans + ([(begin, record.samples[-1][0])] if begin is not None else [])


def round_up(value):
    """The next number that four steps divide nicely."""
    step = 4
    while step < value:
        step = step * 5 // 2 if str(step)[0] == "4" and step * 5 // 2 % 4 == 0 else step * 2
    return step
