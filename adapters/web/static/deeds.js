"use strict";
// What people do: ask, attach, stop, retry, edit, fork, share, copy; and the keyboard.
(() => {
  const csrf = document.querySelector('meta[name="csrf"]').content;
  const said = document.getElementById("said"), trouble = document.getElementById("trouble");
  const form = document.getElementById("ask"), question = document.getElementById("question");

  async function post(address, body) {
    trouble.textContent = "";
    let answer;
    try {
      answer = await fetch(address, { method: "POST", body, headers: { "x-csrf-token": csrf } });
    } catch {
      trouble.textContent = "The server does not answer. Nothing you wrote is lost; try again.";
      return null;
    }
    if (!answer.ok) {
      trouble.textContent = (await answer.text()).slice(0, 500);
      return null;
    }
    const kind = answer.headers.get("content-type") ?? "";
    if (kind.startsWith("application/json")) window.location.assign((await answer.json()).location);
    return kind.startsWith("text/html") ? answer.text() : "";
  }
  function fields(values) {
    const data = new FormData();
    for (const [name, value] of Object.entries(values)) data.append(name, value);
    return data;
  }
  async function copy(text, button) {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      trouble.textContent = "The browser does not let this page copy. Select the text and copy it yourself.";
      return;
    }
    said.textContent = "Copied.";
    button.classList.add("done");
    window.setTimeout(() => button.classList.remove("done"), 1500);
  }

  // ── buttons ──
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    if (!button) return;
    const { post: address, value, edit, unshare, confirm } = button.dataset;
    if (confirm && !window.confirm(confirm)) return;
    if (address) {
      button.disabled = true;
      await post(address, fields({ value: value ?? "" }));
      button.disabled = false;
    } else if ("copy" in button.dataset) await copy(button.closest("details").querySelector("code:not(.purpose)").textContent, button);
    else if ("copyAnswer" in button.dataset) await copy(button.closest(".turn").querySelector(".answer .prose").innerText, button);
    else if ("copyLink" in button.dataset) await copy(document.getElementById("link").value, button);
    else if (edit) rewrite(button, edit);
    else if (unshare) sheet(await post(unshare, fields({ value })));
  });
  document.addEventListener("submit", async (event) => {
    const address = event.target.dataset.share;
    if (!address) return;
    event.preventDefault();
    sheet(await post(address, new FormData(event.target)));
    document.getElementById("link")?.select();
  });
  function sheet(html) {
    if (html !== null) document.getElementById("shares").innerHTML = html;
  }
  function rewrite(button, address) {
    const asked = button.closest(".turn").querySelector(".asked");
    if (asked.querySelector("textarea")) return;
    const before = asked.textContent, box = document.createElement("form"), text = document.createElement("textarea");
    text.value = before;
    text.setAttribute("aria-label", "The question, to be edited");
    const send = Object.assign(document.createElement("button"), { type: "submit", className: "send", textContent: "Ask this instead" });
    const back = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: "Leave it" });
    const about = Object.assign(document.createElement("p"), { className: "note", textContent: "It goes on in a new conversation from before this question. This one stays as it is." });
    const row = document.createElement("p");
    row.append(send, " ", back);
    box.append(text, about, row);
    asked.replaceChildren(box);
    text.focus();
    back.addEventListener("click", () => { asked.textContent = before; button.focus(); });
    box.addEventListener("submit", (event) => { event.preventDefault(); post(address, fields({ text: text.value })); });
  }

  // ── asking ──
  const newKey = () => crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
  let chosen = [], failed = {}; // what could not be sent is sent again under its old key, so that it is asked once
  function attach(files) {
    chosen = [...chosen, ...files];
    list();
    if (files.length) said.textContent = `${files.length} ${files.length === 1 ? "file" : "files"} attached.`;
  }
  function list() {
    const items = chosen.map((file, index) => {
      const item = document.createElement("li"), name = document.createElement("span");
      name.textContent = file.name;
      const button = Object.assign(document.createElement("button"), { type: "button", className: "tool", textContent: "×" });
      button.setAttribute("aria-label", `Leave out ${file.name}`);
      button.addEventListener("click", () => { chosen = chosen.filter((_, other) => other !== index); list(); question.focus(); });
      item.append(name, button);
      return item;
    });
    document.getElementById("chosen").replaceChildren(...items);
  }
  function grow() {
    question.style.height = "auto";
    question.style.height = `${Math.min(question.scrollHeight + 2, window.innerHeight * 0.4)}px`;
  }
  function asTable(text) {
    const lines = text.replace(/\r/g, "").replace(/\n$/, "").split("\n");
    for (const [sign, name] of [["\t", "pasted.tsv"], [",", "pasted.csv"]]) {
      const count = lines[0].split(sign).length;
      if (lines.length > 2 && count > 1 && lines.every((line) => line.split(sign).length === count)) return new File([text], name, { type: "text/csv" });
    }
    return null;
  }
  if (form) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const text = question.value, files = chosen, data = new FormData(form);
      if (!text.trim() && !files.length) return;
      data.delete("files");
      data.append("key", text === failed.text ? failed.key : newKey());
      for (const file of files) data.append("files", file, file.name);
      question.value = "";
      chosen = [];
      list();
      grow();
      if ((await post(form.dataset.ask, data)) !== null) return;
      failed = { text, key: data.get("key") };
      question.value = question.value ? `${text}\n${question.value}` : text;
      chosen = [...files, ...chosen];
      list();
      grow();
    });
    question.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    question.addEventListener("input", grow);
    document.getElementById("files").addEventListener("change", (event) => { attach([...event.target.files]); event.target.value = ""; });
    document.addEventListener("paste", (event) => {
      if (event.target !== question && event.target !== document.body) return;
      const files = [...event.clipboardData.files], table = files.length ? null : asTable(event.clipboardData.getData("text/plain"));
      if (!files.length && !table) return;
      event.preventDefault();
      attach(table ? [table] : files);
    });
    for (const kind of ["dragover", "dragleave", "drop"]) document.addEventListener(kind, (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      document.body.classList.toggle("dropping", kind === "dragover");
      if (kind === "drop") attach([...event.dataTransfer.files]);
    });
  }

  // ── the page ──
  document.addEventListener("htmx:after:swap", () => {
    for (const row of document.querySelectorAll("a.row")) if (row.pathname === window.location.pathname) row.setAttribute("aria-current", "page");
  });
  const keys = document.getElementById("keys");
  document.getElementById("help")?.addEventListener("click", () => keys.showModal());
  document.getElementById("theme")?.addEventListener("click", theme);
  document.getElementById("fold")?.addEventListener("click", fold);
  function theme() {
    const dark = document.documentElement.dataset.theme ?? (window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    document.documentElement.dataset.theme = dark === "dark" ? "light" : "dark";
    localStorage.setItem("theme", document.documentElement.dataset.theme);
    said.textContent = `The page is ${document.documentElement.dataset.theme} now.`;
  }
  function fold() {
    const blocks = [...document.querySelectorAll("#turns details.block")], open = blocks.some((each) => !each.open);
    for (const each of blocks) each.open = open;
    said.textContent = open ? "All code is shown." : "All code is folded.";
  }
  function walk(by) {
    const all = [...document.querySelectorAll(".turn")], top = (each) => each.getBoundingClientRect().top;
    const next = by > 0 ? all.find((each) => top(each) > 100) : all.findLast((each) => top(each) < 60);
    if (!next) return;
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "start" });
  }
  const shortcuts = {
    "/": () => document.getElementById("text")?.focus(),
    n: () => document.querySelector('[data-key="n"]')?.click(),
    q: () => question?.focus(),
    j: () => walk(1),
    k: () => walk(-1),
    c: fold,
    d: theme,
    "?": () => keys?.showModal(),
    Escape: () => document.getElementById("stop")?.hidden === false && document.getElementById("stop").click(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, [contenteditable], dialog[open]");
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (typing && !(event.key === "Escape" && event.target === question)) return;
    const open = document.querySelector("details.menu[open]");
    if (event.key === "Escape" && open) {
      open.open = false;
      open.querySelector("summary").focus();
    } else if (shortcuts[event.key]) {
      event.preventDefault();
      shortcuts[event.key]();
    }
  });
})();
