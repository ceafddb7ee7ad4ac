// Sends forms without leaving the page, and fetches the page again when the server says that something changed.
"use strict";

const told = document.getElementById("told");

// say shows the outcome of an action; the region is announced by screen readers.
function say(ok, message) {
  told.textContent = message;
  told.className = ok ? "told ok" : "told bad";
}

// The regions as the server last sent them; the page itself may differ, by what is unfolded for example.
const shown = new Map([...document.querySelectorAll("[data-live]")].map((region) => [region.id, region.innerHTML]));

// Replaces each live region that differs, and keeps the focus and what was unfolded.
async function refresh() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const focused = document.activeElement?.id;
  for (const region of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(region.id);
    if (!next) continue;
    const source = next.innerHTML;
    if (shown.get(region.id) === source) continue;
    shown.set(region.id, source);
    const open = [...region.querySelectorAll("details[open]")].map((d) => d.id);
    const scrolled = [...region.querySelectorAll(".scroll, pre")].map((e) => [e.scrollLeft, e.scrollTop]);
    region.className = next.className;
    region.replaceChildren(...next.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    region.querySelectorAll(".scroll, pre").forEach((e, i) => scrolled[i] && e.scrollTo(...scrolled[i]));
  }
  const known = [...document.querySelectorAll("main [data-live]")].map((e) => e.id).join();
  const wanted = [...fresh.querySelectorAll("main [data-live]")].map((e) => e.id).join();
  if (known !== wanted) document.getElementById("main").replaceChildren(...fresh.getElementById("main").childNodes);
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
  read = performance.now();
}

// One fetch at a time, and at most three a second; what changes meanwhile is fetched once after. Who waits is told when a fetch that began after its
// call has ended.
let running = false;
let again = false;
let waiting = [];
async function changed() {
  again = true;
  if (running || document.hidden) return;
  running = true;
  while (again) {
    again = false;
    const served = waiting.splice(0);
    try {
      await refresh();
    } catch {
      // The server has gone; the event source tries to reach it again.
    }
    for (const done of served) done();
    await new Promise((done) => setTimeout(done, 300));
  }
  running = false;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-action]")) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form, event.submitter));
  document.body.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", headers: { Accept: "application/json" }, body });
    const { ok, message } = await answer.json();
    await new Promise((done) => waiting.push(done) && changed()); // what it says can then be seen
    say(ok, message);
  } catch {
    say(false, "The server did not answer.");
  }
  document.body.removeAttribute("aria-busy");
});

// Between fetches the clock runs here.
let read = performance.now();
const format = new Intl.DateTimeFormat("en-GB", {
  weekday: "short", day: "numeric", month: "short", year: "numeric",
  hour: "2-digit", minute: "2-digit", second: "2-digit", timeZone: "UTC",
});
setInterval(() => {
  const now = document.getElementById("now");
  const speed = Number(now.dataset.speed);
  if (!speed || document.body.hasAttribute("aria-busy")) return;
  const part = {};
  for (const p of format.formatToParts(Date.parse(now.dateTime) + (performance.now() - read) * speed)) part[p.type] = p.value;
  const text = `${part.weekday} ${part.day} ${part.month} ${part.year}, ${part.hour}:${part.minute}:${part.second} UTC`;
  if (now.textContent !== text) now.textContent = text;
}, 250);

document.addEventListener("visibilitychange", () => document.hidden || changed());
const events = new EventSource("/console/events");
events.addEventListener("changed", changed);
addEventListener("pagehide", () => events.close());
