// Keys, and forms that put their answer in place of the middle of the page. Without this script all of it works by links.
"use strict";

const KEYS = { a: '[value="anomaly"]', n: '[value="normal"]', s: '[value="skipped"]', u: 'button[form="undo"]' };
const WAIT = 1500; // milliseconds between questions whether a fit has ended
let busy = false;

function say(text) {
  document.getElementById("said").textContent = text;
}

// What is new of a page that came: its top and its middle; the rest is the same on all.
function put(text, address, remember) {
  const page = new DOMParser().parseFromString(text, "text/html");
  if (!page.getElementById("desk")) return location.assign(address);
  for (const id of ["top", "desk"]) document.getElementById(id).replaceWith(page.getElementById(id));
  document.title = page.title;
  if (remember) history.pushState(null, "", address);
  if (!location.search.includes("search")) window.scrollTo(0, 0);
  document.getElementById("desk").focus({ preventScroll: true });
  const alert = document.querySelector("main .notice");
  const subject = document.getElementById("subject");
  say((alert ? alert.textContent.trim() + " " : "") + (subject ? "Now " + subject.textContent.trim() : page.title));
  watch();
}

async function go(address, options, remember = true) {
  if (busy) return;
  busy = true;
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { ...options, redirect: "follow" });
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) throw new Error(await answer.text());
    put(await answer.text(), answer.url.endsWith("/answer") ? location.href : answer.url, remember);
  } catch (error) {
    const line = document.createElement("p");
    line.className = "notice";
    line.setAttribute("role", "alert");
    line.textContent = "Not saved: " + (error.message || "the review has been closed") + ". Is expose review still running?";
    document.getElementById("desk").prepend(line);
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
  else go(form.action + "?" + fields, {});
});

document.addEventListener("change", (event) => {
  if (event.target.id === "heat") event.target.closest(".photo").classList.toggle("plain", !event.target.checked);
});

window.addEventListener("popstate", () => go(location.href, {}, false));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (typing) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.toLowerCase();
  const button = KEYS[key] && document.querySelector("#answer " + KEYS[key]);
  if (button && !event.repeat) button.click();
  else if (key === "u") go("/undo", { method: "POST" });
  else if (key === "e") document.getElementById("note")?.focus();
  else if (key === "h") document.getElementById("heat")?.click();
  else if (key === "l") document.querySelector('form[action="/learn"] button')?.click();
  else if (key === "q") go("/", {});
  else if (key === "c") go("/changes", {});
  else if (key === "?") document.querySelector(".keys").toggleAttribute("open");
  else if (key === "/") go("/rows", {}).then(() => document.getElementById("search").focus());
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
    const answer = await fetch("/changes");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.getElementById("top").replaceWith(page.getElementById("top"));
    say(status.failed ? "The model could not learn." : "The model has learned. Press C to see what changed.");
  }, WAIT);
}
watch();
