// Keys, and forms that put their answer in place of the middle of the page. Without this script all of it works by links.
"use strict";

const KEYS = { a: '[value="anomaly"]', n: '[value="normal"]', s: '[value="skipped"]' };
const WAIT = 1500; // milliseconds between questions whether a fit has ended
const PARTS = ["top", "desk", "foot"]; // of the page, which are put in place of what was there
let busy = false;
let plain = false; // photos without their heat maps, until somebody wants them back

function say(text) {
  document.getElementById("said").textContent = text;
}

function text(selector) {
  const found = document.querySelector(selector);
  return found ? found.textContent.trim().replace(/\s+/g, " ") : "";
}

// What is new of a page that came is put in place of what was there.
function put(html, address, remember, answered) {
  const page = new DOMParser().parseFromString(html, "text/html");
  if (!page.getElementById("desk")) return location.assign(address);
  const open = document.querySelector(".keys").open;
  for (const id of PARTS) document.getElementById(id).replaceWith(page.getElementById(id));
  document.querySelector(".keys").open = open;
  document.title = page.title;
  if (remember) history.pushState(null, "", address);
  window.scrollTo(0, 0);
  document.getElementById("desk").focus({ preventScroll: true });
  dress();
  const notice = text("main .notice");
  const subject = text("#subject");
  say([notice, answered && !notice ? text(".saved") : "", subject ? "Now " + subject : page.title].filter(Boolean).join(". "));
  watch();
}

function dress() {
  const heat = document.getElementById("heat");
  if (heat) heat.checked = !plain;
}

async function go(address, options = {}, remember = true) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { ...options, redirect: "follow" });
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) throw new Error(await answer.text());
    const page = options.method === "POST" && !answer.redirected ? location.href : answer.url;
    put(await answer.text(), page, remember && page !== location.href, options.method === "POST");
  } catch (error) {
    document.querySelector("main > .lost")?.remove();
    const line = document.createElement("p");
    line.className = "notice lost";
    line.setAttribute("role", "alert");
    const gone = error instanceof TypeError ? "the review has been closed" : error.message;
    line.textContent = (options.method === "POST" ? "Not saved: " : "Not there: ") + gone + ". Is expose review still running?";
    document.getElementById("desk").prepend(line);
    line.scrollIntoView({ block: "nearest" });
  } finally {
    busy = false;
    document.body.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  if (form.method === "post") go(form.action, { method: "POST", body: fields });
  else go(form.action + "?" + fields);
});

document.addEventListener("change", (event) => {
  if (event.target.id === "heat") plain = !event.target.checked;
});

window.addEventListener("popstate", () => go(location.href, {}, false));

// The next or previous link of a list; the first where none has the focus.
function step(by) {
  const links = [...document.querySelectorAll(".list a")];
  const at = links.indexOf(document.activeElement);
  links[at < 0 ? 0 : Math.min(Math.max(at + by, 0), links.length - 1)]?.focus();
}

function keys() {
  const all = document.querySelector(".keys");
  all.open = !all.open;
  if (all.open) all.scrollIntoView({ block: "nearest" });
}

const ACTS = {
  u: () => go("/undo", { method: "POST" }),
  e: () => document.getElementById("note")?.focus(),
  h: () => document.getElementById("heat")?.click(),
  l: () => document.querySelector('form[action="/learn"] button').click(),
  q: () => go("/"),
  c: () => go("/changes"),
  j: () => step(1),
  k: () => step(-1),
  "?": keys,
  "/": () => go("/rows").then(() => document.getElementById("search")?.focus()),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (typing) {
    const ended = event.key === "Escape" || (event.key === "Enter" && event.target.id === "note");
    if (!ended) return;
    event.target.blur();
    if (event.target.id === "note") say("The note is saved with your answer.");
    return event.preventDefault();
  }
  const key = event.key.toLowerCase();
  const button = KEYS[key] && document.querySelector("#answer " + KEYS[key]);
  if (event.repeat && !"jk".includes(key)) return;
  if (button) button.click();
  else if (ACTS[key]) ACTS[key]();
  else return;
  event.preventDefault();
});

// While a fit is going on: ask until it has ended, then say so; what is being looked at stays.
let asking = null;
function watch() {
  const top = document.getElementById("top");
  if (top.dataset.learning !== "yes" || asking) return;
  asking = setInterval(async () => {
    let status;
    try {
      status = await (await fetch("/status")).json();
    } catch {
      return;
    }
    if (status.learning) return;
    clearInterval(asking);
    asking = null;
    if (location.pathname === "/changes") return go("/changes", {}, false);
    const answer = await fetch("/");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (page.getElementById("top")) document.getElementById("top").replaceWith(page.getElementById("top"));
    say(status.failed ? "The model could not learn." : "The model has learned. Press C to see what changed.");
  }, WAIT);
}
watch();
