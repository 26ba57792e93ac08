"""Reading what was drawn: colours of a terminal, the HTML of a page."""

import re
from html.parser import HTMLParser

SGR = re.compile(r"\x1b\[[0-9;]*m")


class Reader(HTMLParser):
    """Collects the tags of a page, the characters (its <b>) with their attributes, and the text of its elements."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.characters, self.texts, self.within = [], [], {}, []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "tr", "td", "th"):
            self.within.append(tag)
        if tag == "b":
            self.characters.append((dict(attributes), ""))

    def handle_endtag(self, tag):
        if tag != "tr":
            assert self.within.pop() == tag

    def handle_data(self, data):
        tag = self.within[-1] if self.within else ""
        self.texts[tag] = self.texts.get(tag, "") + data
        if tag == "b":
            attributes, text = self.characters.pop()
            self.characters.append((attributes, text + data))
