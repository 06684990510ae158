// Asks one question at the bottom of a page, or in a card of a portal. No cookie, no storage, no third party.
// <script async src=".../widget.js" data-context="..."></script>; data-mode="card" data-target="#place" makes it a card.
(() => {
  "use strict";
  const tag = document.currentScript, at = tag && tag.dataset;
  if (!tag || !at.context || !window.fetch || !HTMLElement.prototype.attachShadow) return;
  const card = at.mode === "card", place = card ? "portal" : "in_app", base = new URL(".", tag.src).href;
  const post = (path, fields) => {
    const body = new FormData();
    for (const name in fields) body.set(name, fields[name]);
    body.set("place", place);
    return fetch(base + "widget/" + path, { method: "POST", body, credentials: "omit", keepalive: true, mode: "cors" });
  };
  const make = (name, attributes = {}, ...children) => {
    const element = document.createElement(name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    element.append(...children); // texts, never markup
    return element;
  };
  const band = (score) => (score < 7 ? "detractor" : score < 9 ? "passive" : "promoter");
  const style = (c) => `
:host{all:initial;${card ? "display:block;margin:16px 0" : "position:fixed;inset:auto 0 0 0;z-index:2147483000;display:flex;justify-content:center;pointer-events:none"}}
*{box-sizing:border-box}
section{--p:${c.primary};--on:${c.onPrimary};--edge:${c.edge};--bg:#fff;--ink:#1a1d24;--mut:#565c69;--line:#8a909c;pointer-events:auto;position:relative;width:100%;max-width:640px;max-height:100vh;overflow:auto;padding:20px;background:var(--bg);color:var(--ink);font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;border:1px solid #d5d8de;border-radius:${card ? "14px" : "14px 14px 0 0"};${card ? "" : "box-shadow:0 -6px 30px rgba(0,0,0,.18);animation:up .3s ease-out"}}
@keyframes up{from{transform:translateY(100%)}}
@media (prefers-reduced-motion:reduce){section{animation:none}}
@media (prefers-color-scheme:dark){section{--p:${c.darkPrimary};--on:${c.darkOnPrimary};--edge:${c.darkPrimary};--bg:#1c1f27;--ink:#f0f1f4;--mut:#a9afbd;border-color:#3a3f4b}}
h2{margin:0 44px 14px 0;font-size:18px;line-height:1.35;font-weight:600}[dir=rtl] h2{margin:0 0 14px 44px}h2:focus{outline:0}
fieldset{border:0;margin:0;padding:0;min-width:0}legend{padding:0}
.row{display:grid;grid-template-columns:repeat(11,1fr);gap:6px}
label.s{position:relative;display:block}label.s input{position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;cursor:pointer}
label.s span{display:flex;align-items:center;justify-content:center;min-height:44px;border:1px solid var(--edge);border-radius:8px;font-weight:600}
label.s input:checked+span{background:var(--p);color:var(--on)}label.s:hover span{border-width:2px}
input:focus-visible+span,button:focus-visible,a:focus-visible,textarea:focus-visible{outline:3px solid var(--ink);outline-offset:2px}
.ends{display:flex;justify-content:space-between;gap:16px;margin-top:8px;font-size:14px;color:var(--mut)}.ends span:last-child{text-align:end}
.more{margin-top:14px}.more label{display:block;font-weight:600;margin-bottom:6px}[hidden]{display:none!important}
textarea{width:100%;min-height:84px;padding:10px;font:inherit;color:inherit;background:var(--bg);border:1px solid var(--line);border-radius:8px}
.hint{margin:6px 0 0;font-size:14px;color:var(--mut)}.status{margin:10px 0 0;font-size:14px;color:var(--mut);min-height:1.45em}
button,a.b{display:inline-block;min-height:44px;margin-top:12px;padding:10px 18px;font:inherit;font-weight:600;line-height:22px;color:var(--on);background:var(--p);border:1px solid var(--edge);border-radius:8px;cursor:pointer;text-decoration:none}
button.x{position:absolute;top:8px;inset-inline-end:8px;width:44px;margin:0;padding:0;color:var(--ink);background:none;border:0;font-size:22px}
@media (max-width:520px){section{padding:16px}.row{grid-template-columns:repeat(6,1fr)}}`;

  const open = (t, root) => {
    let human = false, score = "", answered = false, timer = 0, last = Promise.resolve(true);
    const began = performance.now(), words = t.words;
    const heading = make("h2", { id: "q", tabindex: "-1" }, t.question);
    const status = make("p", { class: "status", role: "status" });
    const close = make("button", { class: "x", type: "button", "aria-label": words.close }, "\u00d7");
    const row = make("div", { class: "row" });
    for (let number = 0; number < 11; number++) {
      const input = make("input", { type: "radio", name: "score", value: number });
      if (number === 0) input.setAttribute("aria-label", "0, " + t.low);
      if (number === 10) input.setAttribute("aria-label", "10, " + t.high);
      row.append(make("label", { class: "s" }, input, make("span", {}, String(number))));
    }
    const ends = make("div", { class: "ends", "aria-hidden": "true" }, make("span", {}, "0 \u2013 " + t.low), make("span", {}, "10 \u2013 " + t.high));
    const ask = make("label", { for: "c" }), comment = make("textarea", { id: "c", maxlength: 5000, dir: "auto" });
    const more = make("div", { class: "more", hidden: "" }, ask, comment, make("p", { class: "hint" }, words.optional), make("button", { type: "submit" }, words.send));
    const form = make("form", {}, make("fieldset", { "aria-labelledby": "q" }, row, ends), status, more);
    const panel = make("section", { role: card ? "region" : "dialog", "aria-labelledby": "q", lang: t.language, dir: t.direction }, heading, close, form);
    root.append(panel);

    const remove = () => { root.host.remove(); };
    const end = () => {
      clearTimeout(timer);
      if (t.token && !answered && !score) post("dismiss", { token: t.token }).catch(() => 0);
      else if (score && !answered) send();
      remove();
    };
    const send = (fields = {}) => {
      clearTimeout(timer);
      timer = 0;
      answered = true;
      if (!t.token) return Promise.resolve(true);
      const visible = Math.round(performance.now() - began);
      last = last.then(() => post("answer", { token: t.token, score, input: human ? "human" : "", visible_ms: visible, ...fields })).then((reply) => reply.ok || reply.status === 409).catch(() => false);
      return last.then((ok) => { if (!ok) { answered = false; status.textContent = words.failed; } return ok; });
    };
    close.addEventListener("click", end);
    panel.addEventListener("keydown", (event) => { if (event.key === "Escape" && !card) end(); });
    for (const kind of ["pointerdown", "keydown"]) panel.addEventListener(kind, (event) => { if (event.isTrusted) human = true; }, true);
    form.addEventListener("change", (event) => {
      if (event.target.name !== "score") return;
      score = event.target.value;
      ask.textContent = t.follow_up[band(+score)];
      more.hidden = false;
      status.textContent = words.chose.replace("{score}", score);
      clearTimeout(timer);
      timer = setTimeout(send, 900); // arrow keys pass over other scores
    });
    addEventListener("pagehide", () => { if (timer) send(); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = more.querySelector("button");
      button.disabled = true;
      status.textContent = words.sending;
      if (!(await send({ comment: comment.value }))) { button.disabled = false; return; }
      const kind = band(+score), onward = t.onward[kind];
      heading.textContent = t.thanks[kind];
      form.remove();
      if (t.more) panel.append(make("a", { class: "b", href: t.more, target: "_blank", rel: "noopener" }, words.more));
      if (onward) panel.append(make("a", { class: "b", href: onward, target: "_blank", rel: "noopener noreferrer" }, words.onward.replace("{host}", new URL(onward).hostname)));
      heading.focus();
    });
  };

  const start = async () => {
    const reply = await post("show", { context: at.context, language: at.language || "" });
    if (reply.status !== 200) return;
    const texts = await reply.json();
    const target = card ? document.querySelector(at.target || "body") : document.body;
    if (!target) return;
    const host = document.createElement("div"), root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(style(texts.colours));
    root.adoptedStyleSheets = [sheet];
    open(texts, root);
    target.append(host);
  };
  const run = () => start().catch(() => 0); // a survey must never disturb the page that it stands in
  if (document.body && document.readyState !== "loading") run();
  else addEventListener("DOMContentLoaded", run);
})();
