// The dashboard's one script. Every page works without it; with it times are in the reader's zone, dialogs open, and the
// overview is live. It takes HTML from this bus only, which has escaped whatever came from clients.
"use strict";

const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));

// Times: today's without the date; the whole of it, and UTC, on asking.
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const date = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

function writeTimes(within) {
  const today = date.format(new Date());
  for (const element of all("time[datetime]", within)) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const day = date.format(at);
    element.textContent = day === today ? clock.format(at) : `${day}, ${clock.format(at)}`;
    element.title = `${day}, ${clock.format(at)} ${zone} (${element.dateTime})`;
  }
}

// Fields for times: UTC for the bus, the reader's zone for the reader.
const two = (number) => String(number).padStart(2, "0");

function localValue(at) {
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function useLocalFields() {
  const fields = all("input[type=datetime-local]");
  for (const field of fields) {
    const at = new Date(`${field.value}Z`);
    if (field.value && !Number.isNaN(at.getTime())) field.value = localValue(at);
  }
  for (const note of all("[data-utc]")) note.remove();
  for (const form of new Set(fields.map((field) => field.form))) {
    form.addEventListener("formdata", (event) => {
      for (const field of fields.filter((one) => one.form === form)) {
        const at = new Date(field.value);
        const sent = field.value && !Number.isNaN(at.getTime()) ? at.toISOString().slice(0, 19) : "";
        event.formData.set(field.name, sent);
      }
      // What is empty does not belong into a link.
      for (const [name, value] of Array.from(event.formData)) if (value === "") event.formData.delete(name);
    });
  }
}

// Dialogs. They open on a button, or before a form is sent; Escape closes them, and the focus goes back to where it was.
function sayFields(dialog, form) {
  for (const place of all("[data-field]", dialog)) {
    const values = new FormData(form).getAll(place.dataset.field).map((value) => String(value).trim());
    place.textContent = values.filter((value) => value !== "").join(", ") || place.dataset.empty || "";
  }
}

function useDialogs() {
  const named = (name) => document.getElementById(name);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.opens) named(button.dataset.opens)?.showModal();
    if ("closes" in button.dataset) button.closest("dialog")?.close();
    if (button.dataset.copies) copy(button);
  });
  for (const form of all("form[data-confirms]")) {
    const dialog = named(form.dataset.confirms);
    let sure = false;
    form.addEventListener("submit", (event) => {
      if (sure) return;
      event.preventDefault();
      sayFields(dialog, form);
      dialog.showModal();
    });
    dialog.querySelector("[data-sends]").addEventListener("click", () => {
      sure = true;
      dialog.close();
      form.requestSubmit();
      sure = false;
    });
  }
  // A form is sent once, however often its button is pressed.
  for (const form of all("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (event.defaultPrevented) return;
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "yes";
    });
  }
  window.addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));
  const asked = new URLSearchParams(location.search).get("ask");
  if (asked === "retry" || asked === "cancel") named(asked)?.showModal();
}

async function copy(button) {
  const words = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copies);
    button.textContent = "Copied";
  } catch {
    // Plain HTTP has no clipboard: select it, and the reader copies it.
    const code = button.parentElement.querySelector("code");
    if (code) getSelection().selectAllChildren(code);
    button.textContent = "Press Ctrl+C";
  }
  setTimeout(() => { button.textContent = words; }, 2000);
}

// Charts say what they show under the pointer.
function useCharts() {
  const svg = "http://www.w3.org/2000/svg";
  document.addEventListener("pointermove", (event) => {
    const chart = event.target.closest?.(".chart svg");
    for (const other of all(".chart svg")) if (other !== chart) clear(other);
    if (!chart) return;
    const values = chart.dataset.values.split(" ");
    const box = chart.getBoundingClientRect();
    const place = Math.round(((event.clientX - box.left) / box.width) * (values.length - 1));
    const value = values[Math.min(Math.max(place, 0), values.length - 1)];
    const at = new Date((Number(chart.dataset.from) + place * Number(chart.dataset.step)) * 1000);
    const width = chart.viewBox.baseVal.width;
    const height = chart.viewBox.baseVal.height;
    const line = chart.querySelector(".cursor") ?? chart.appendChild(document.createElementNS(svg, "path"));
    line.setAttribute("class", "cursor");
    line.setAttribute("vector-effect", "non-scaling-stroke");
    line.setAttribute("d", `M${(width * place) / (values.length - 1)} 0V${height}`);
    const read = chart.parentElement.querySelector("[data-read]");
    read.dataset.said ??= read.textContent;
    read.textContent = `${clock.format(at)}: ${value}/s`;
  });
  function clear(chart) {
    chart.querySelector(".cursor")?.remove();
    const read = chart.parentElement.querySelector("[data-read]");
    if (read.dataset.said) {
      read.textContent = read.dataset.said;
      delete read.dataset.said;
    }
  }
}

// The overview: a stream sends the parts that have changed. Where it cannot be had, they are asked for now and then.
const SLOW_MS = 30_000;

function keepLive() {
  const live = document.getElementById("live");
  if (!live || !window.EventSource) return;
  const says = live.querySelector("[data-says]");
  let source = null;
  let timer = 0;
  let slow = 0;
  let refused = "";

  function say(state, words) {
    live.classList.remove("on", "slow", "off");
    live.classList.add(state);
    // The reader of a screen is told of changes of state, not of every tick.
    if (says.textContent !== words) says.textContent = words;
  }

  function put(parts) {
    for (const [name, html] of Object.entries(parts)) {
      const part = document.querySelector(`[data-part="${CSS.escape(name)}"]`);
      if (!part) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement : null;
      const link = focused?.getAttribute("href");
      // Whoever points at a chart is reading it.
      if (part.querySelector(".cursor")) continue;
      part.innerHTML = html;
      writeTimes(part);
      if (link) all("a", part).find((a) => a.getAttribute("href") === link)?.focus({ preventScroll: true });
    }
  }

  // A browser has six connections for a host: tabs that nobody looks at shall not keep them.
  function stream() {
    clearTimeout(timer);
    if (source || document.hidden) return;
    source = new EventSource(live.dataset.stream);
    source.addEventListener("overview", (event) => {
      put(JSON.parse(event.data));
      say("on", "Live");
    });
    source.addEventListener("trouble", () => say("slow", "The database does not answer. This is as of a while ago."));
    source.addEventListener("error", () => {
      if (source?.readyState === EventSource.CLOSED) {
        source = null;
        whyNoStream().then((why) => {
          refused = why;
          poll();
        });
      } else {
        say("slow", "Connecting again…");
      }
    });
  }

  function rest() {
    source?.close();
    source = null;
  }

  // An event source does not say why it was refused; the same path does, asked once more.
  async function whyNoStream() {
    const stop = new AbortController();
    try {
      const headers = { Accept: "application/json" };
      const answer = await fetch(live.dataset.stream, { headers, signal: stop.signal });
      const full = answer.status === 503 && (await answer.json()).error.message.includes("dashboards are open");
      return full ? "Too many dashboards are open" : "There is no live stream";
    } catch {
      return "There is no live stream";
    } finally {
      stop.abort();
    }
  }

  async function poll() {
    slow += 1;
    try {
      const answer = await fetch(live.dataset.parts, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      put(await answer.json());
      say("slow", `${refused}: every 30 seconds.`);
    } catch {
      say("off", "The bus does not answer. This is as of a while ago.");
    }
    // Now and then there is a place again.
    timer = setTimeout(slow % 4 === 0 ? stream : poll, SLOW_MS);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : stream()));
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", (event) => event.persisted && stream());
  stream();
}

// A note is shown once: loading the page again does not say again what was done.
function forgetNote() {
  const here = new URL(location.href);
  if (!here.searchParams.has("note") && !here.searchParams.has("ask")) return;
  here.searchParams.delete("note");
  here.searchParams.delete("ask");
  history.replaceState(null, "", here);
}

// The answer to a form that has made a key: loading it again would send the form again.
function forgetForm() {
  if (document.querySelector(".secret")) history.replaceState(null, "", "/admin/dashboard/keys");
}

for (const place of all("[data-zone]")) place.textContent = `Times are ${zone}.`;
writeTimes(document);
useLocalFields();
useDialogs();
useCharts();
keepLive();
forgetNote();
forgetForm();
document.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
