// All of it is optional: every view reads without.
const $ = (selector) => document.querySelector(selector);
const root = document.documentElement;
const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
const keep = (name, value) => { try { localStorage.setItem(name, value); } catch { /* a private window */ } };

if (kept("theme")) root.dataset.theme = kept("theme");
const theme = $("#theme");
if (theme) {
  theme.hidden = false;
  theme.addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    root.dataset.theme = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    keep("theme", root.dataset.theme);
  });
}

// On a narrow screen the navigation scrolls: the view that is open is brought into sight.
const current = $("nav [aria-current]");
if (current) current.parentElement.scrollLeft = current.offsetLeft - current.parentElement.clientWidth / 2;

const local = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
for (const time of document.querySelectorAll("time")) time.textContent = local.format(new Date(time.dateTime)).replace(",", "");
if ($("#zone")) $("#zone").textContent = "times in your zone";
for (const part of document.querySelectorAll(".with-script")) part.hidden = false;

const off = $("#keys-off");
if (off) {
  off.checked = kept("keys") === "off";
  off.addEventListener("change", () => keep("keys", off.checked ? "off" : "on"));
}
addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const open of document.querySelectorAll("details.pop[open]")) open.open = false;
  if (off?.checked || event.target.closest("input,textarea,select") || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    const filter = $("form[role=search] details");
    if (filter) filter.open = true;
    const field = $("form[role=search] input:not([type=checkbox]), textarea");
    if (field) { event.preventDefault(); field.focus(); }
  }
  if (event.key === "?" && $("#help")) $("#help").open = !$("#help").open;
  if (event.key === "j" || event.key === "k") {
    const rows = [...document.querySelectorAll("tbody tr")].filter((row) => row.querySelector("a, summary"));
    const at = rows.findIndex((row) => row.contains(document.activeElement));
    rows[at + (event.key === "j" ? 1 : -1)]?.querySelector("a, summary")?.focus();
  }
});

// The brush: from where the drag begins to its end, the shorter duration is kept as "at least".
for (const plot of document.querySelectorAll("[data-brush]")) {
  const [low, high] = plot.dataset.brush.split(",").map(Number);
  const left = Number(plot.dataset.left), right = Number(plot.dataset.right);
  const band = plot.querySelector(".brushed");
  const at = (event) => {
    const box = plot.getBoundingClientRect();
    return Math.min(right, Math.max(left, ((event.clientX - box.left) / box.width) * plot.viewBox.baseVal.width));
  };
  let from = null;
  plot.addEventListener("pointerdown", (event) => { from = at(event); });
  plot.addEventListener("pointermove", (event) => {
    if (from === null) return;
    band.setAttribute("x", Math.min(from, at(event)));
    band.setAttribute("width", Math.abs(at(event) - from));
  });
  plot.addEventListener("dragstart", (event) => event.preventDefault());
  addEventListener("pointerup", (event) => {
    if (from === null) return;
    const [begin, moved] = [Math.min(from, at(event)), Math.abs(at(event) - from)];
    from = null;
    if (moved < 4) return;
    plot.addEventListener("click", (click) => { click.preventDefault(); click.stopPropagation(); }, { capture: true, once: true });
    const address = new URL(location.href);
    const seconds = low * (high / low) ** ((begin - left) / (right - left));
    address.searchParams.set("duration", `${seconds.toPrecision(3) * 1}s`);
    for (const name of ["duration_operator", "after", "before"]) address.searchParams.delete(name);
    location.href = address;
  });
}

$("#statement")?.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
});

// New runs are told beside the list, in a place that is always there; the reader decides when to look.
const fresh = $("#fresh[data-follow]");
if (fresh) {
  const source = new EventSource(`/fresh?after=${fresh.dataset.follow}`);
  source.addEventListener("message", (event) => {
    if (fresh.dataset.first) { source.close(); location.reload(); return; }
    const link = fresh.querySelector("a") || fresh.appendChild(document.createElement("a"));
    link.className = "fresh";
    link.href = location.href.split("#")[0];
    link.textContent = event.data === "1" ? "1 new run \u2191" : `${event.data} new runs \u2191`;
  });
  addEventListener("pagehide", () => source.close());
}

// Work that goes on is looked at again; nothing that is being read moves but its own numbers.
const working = $("[data-reload]");
if (working) setTimeout(() => location.reload(), Number(working.dataset.reload) * 1000);

const slide = $("#ev");
slide?.addEventListener("input", () => { $("#ev-out").value = slide.value; });

const moment = $("#as-of");
moment?.addEventListener("input", () => { moment.form.elements.as_of.value = moment.value; });
