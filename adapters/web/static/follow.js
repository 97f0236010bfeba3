"use strict";
// Brings a conversation's page up to date: the server sends pieces of it, each with the id of the element it stands for.
(() => {
  const turns = document.getElementById("turns");
  window.localTimes = (root) => {
    for (const time of root.querySelectorAll(".who time")) {
      const at = new Date(time.dateTime), today = at.toDateString() === new Date().toDateString();
      time.textContent = at.toLocaleString(undefined, today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
      time.title = at.toLocaleString();
    }
  };
  window.localTimes(document);
  if (!turns) return;
  const said = document.getElementById("said"), stop = document.getElementById("stop"), trouble = document.getElementById("trouble");
  const away = document.getElementById("away");
  const SILENT = 50000; // milliseconds without a sign of life, which the server gives every 20 seconds, after which a connection is taken for dead
  const BRIEF = 2000; // milliseconds of an interruption that nobody needs to hear of
  const CLOSED = [401, 403, 404]; // what the page is answered with once it is not open to this browser any more
  let last = turns.dataset.after, source = null, alive = 0, late = 0;

  const atEnd = () => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 200;

  function put(piece) {
    const holder = document.createElement("template");
    holder.innerHTML = piece.html;
    const made = holder.content.firstElementChild, old = document.getElementById(piece.id);
    if (!made) return old?.remove();
    if (old) old.replaceWith(made);
    else document.getElementById(piece.in)?.append(made);
    announce(made);
  }
  function announce(made) {
    if (made.matches(".turn:not(.live)") && made.querySelector(".answer")) said.textContent = `Answer: ${made.querySelector(".answer").textContent.trim().slice(0, 400)}`;
    else if (made.matches(".step")) said.textContent = `Step: ${made.querySelector("summary .what").textContent}`;
  }
  function apply(event) {
    const follow = atEnd(), count = turns.childElementCount, busy = !!turns.querySelector(".turn.live");
    trouble.textContent = "";
    last = event.lastEventId || last;
    JSON.parse(event.data).forEach(put);
    window.tables(turns);
    window.localTimes(document.querySelector(".thread"));
    turns.querySelectorAll("[data-tail]").forEach((each) => { each.scrollTop = each.scrollHeight; });
    if (stop) stop.hidden = !turns.querySelector(".turn.live");
    if (count !== turns.childElementCount || busy !== !!turns.querySelector(".turn.live")) document.querySelector(".find")?.dispatchEvent(new Event("change"));
    if (follow) window.scrollTo({ top: document.documentElement.scrollHeight });
  }
  function connect() {
    source?.close();
    alive = Date.now();
    const mine = source = new EventSource(`${turns.dataset.events}?after=${encodeURIComponent(last)}`);
    source.addEventListener("pieces", apply);
    source.addEventListener("reload", () => window.location.reload());
    for (const kind of ["open", "pieces", "here"]) source.addEventListener(kind, found);
    source.addEventListener("error", () => {
      late ||= window.setTimeout(() => { away.textContent = "Reconnecting …"; }, BRIEF);
      if (mine.readyState === EventSource.CLOSED) window.setTimeout(() => mine === source && again(), 2000);
    });
  }
  function found() {
    alive = Date.now();
    window.clearTimeout(late);
    late = 0;
    away.textContent = "";
  }
  // A stream that was refused does not say why: the page itself does, to whoever has to sign in again.
  async function again() {
    const answer = await fetch(window.location.href, { method: "HEAD" }).catch(() => null);
    if (CLOSED.includes(answer?.status)) window.location.reload();
    else connect();
  }
  // A computer that slept, or changed its network, may hold a connection that nothing comes through any more, and no error either.
  const check = () => Date.now() - alive > SILENT && connect();
  window.setInterval(check, 5000);
  window.addEventListener("online", connect);
  window.addEventListener("pageshow", (event) => event.persisted && connect());
  document.addEventListener("visibilitychange", check);
  connect();
  if (!window.location.hash && !new URLSearchParams(window.location.search).has("at")) window.scrollTo({ top: document.documentElement.scrollHeight });
  if (window.location.hash) {
    const target = document.getElementById(window.location.hash.slice(1));
    target?.querySelector("details.block")?.setAttribute("open", "");
    target?.scrollIntoView();
  }
})();
