// One click in the mail stays one click: the chosen score is posted at the first touch, press, key or wheel on this page, or,
// as provisional, once the page was visible for two seconds. Everything here also works without this script.
(() => {
  "use strict";
  const DWELL_MS = 2000, SETTLE_MS = 700;
  const form = document.getElementById("answer");
  if (!form || !window.fetch || !window.FormData) return;
  const status = document.getElementById("status");
  const preview = form.hasAttribute("data-preview"), waits = form.hasAttribute("data-waits");
  const words = JSON.parse(form.dataset.words), language = document.documentElement.lang;
  // Only a score from the mail or from this page's buttons is meant now; one that stood before is just shown.
  let meant = form.dataset.fromMail === "yes";
  let human = false, leaving = false, posted = "", timer = 0, visible = 0, since = 0, last = Promise.resolve();

  const chosen = () => { const input = form.querySelector("[name=score]:checked"); return input ? input.value : ""; };
  const visibleMs = () => Math.round(visible + (since ? performance.now() - since : 0));
  const say = (text, tone = "") => { status.textContent = text; status.className = "status " + tone; };
  const told = (name, score) => words[name].replace("{score}", score);

  // What is posted by itself: the score and how it came about, never half-written words or half-made choices.
  const body = () => {
    const data = new FormData();
    data.set("score", chosen());
    data.set("input", human ? "human" : "");
    data.set("visible_ms", String(visibleMs()));
    return data;
  };
  const record = () => {
    const score = chosen(), mark = score + (human ? " human" : "");
    clearTimeout(timer);
    timer = 0;
    if (!score || !meant || leaving || waits || mark === posted || posted === score + " human") return;
    posted = mark;
    if (preview) { say(told("would_record", score)); return; }
    say(told("recording", score));
    last = last.then(async () => {
      try {
        const reply = await fetch(form.action, { method: "POST", body: body(), headers: { Accept: "application/json", "Accept-Language": language }, keepalive: true });
        const result = await reply.json();
        if (reply.ok) say(told("recorded", result.score), "is-good");
        else { posted = ""; say(result.problem, "is-bad"); }
      } catch {
        posted = "";
        say(words.not_recorded, "is-bad");
      }
    });
  };
  // A hand that is choosing may pass over other scores: wait until it rests.
  const soon = () => { clearTimeout(timer); timer = setTimeout(record, SETTLE_MS); };
  const gesture = (event) => {
    if (!event.isTrusted) return;
    human = true;
    if (meant && chosen() && !(event.target instanceof Element && event.target.closest("button"))) soon();
  };
  for (const kind of ["pointerdown", "keydown", "wheel"]) addEventListener(kind, gesture, { capture: true, passive: true });
  form.addEventListener("change", (event) => {
    if (event.target.name !== "score") return;
    meant = true;
    say(told("chose", chosen()));
    soon();
  });

  const look = () => {
    if (document.visibilityState === "visible") since = since || performance.now();
    else { visible = visibleMs(); since = 0; if (timer) record(); }
  };
  document.addEventListener("visibilitychange", look);
  addEventListener("pagehide", () => { if (timer) record(); });
  look();
  const dwell = setInterval(() => {
    if (posted || human) clearInterval(dwell);
    else if (visibleMs() >= DWELL_MS && meant && chosen()) { clearInterval(dwell); record(); }
  }, 250);

  form.addEventListener("submit", async (event) => {
    clearTimeout(timer);
    timer = 0;
    form.elements.input.value = human ? "human" : "";
    form.elements.visible_ms.value = String(visibleMs());
    if (preview) return;
    event.preventDefault();
    if (leaving) return;
    leaving = true;
    const button = form.querySelector("button");
    button.disabled = true;
    say(words.sending);
    await last;
    try {
      const reply = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { "Accept-Language": language } });
      const html = (await reply.text()).replace(/<style[^]*?<\/style>/g, ""); // this page has it already
      const page = new DOMParser().parseFromString(html, "text/html");
      const next = page.querySelector("main");
      // An answer that stands (409) and a survey that has ended (410) are pages of their own; else this one keeps the words.
      if (!next || !(reply.ok || reply.status === 409 || reply.status === 410)) throw new Error((page.querySelector(".lead, .bad") || {}).textContent);
      document.title = page.title;
      document.querySelector("main").replaceWith(document.adoptNode(next));
      const heading = next.querySelector("h1");
      heading.tabIndex = -1;
      heading.focus();
      scrollTo(0, 0);
    } catch (error) {
      leaving = false;
      button.disabled = false;
      say(error instanceof TypeError || !error.message ? words.not_sent : error.message, "is-bad");
    }
  });
})();
