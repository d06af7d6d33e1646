// The editor of SQL: completes names, keeps questions in this browser, and stops one that takes long.
const editor = $("#statement"), box = $("#names");
const tables = new Map([...document.querySelectorAll(".schema details")].map((table) => [
  table.querySelector("summary").textContent,
  [...table.querySelectorAll("li")].map((column) => column.firstChild.textContent),
]));
const words = "SELECT FROM WHERE GROUP BY ALL HAVING ORDER LIMIT JOIN USING DISTINCT FILTER CASE WHEN THEN ELSE END count sum avg min max median quantile_cont date_trunc epoch_ns unnest list_contains coalesce".split(" ");
let from = 0, active = -1;

// What can stand where the caret is: behind a dot columns of that table, behind FROM tables, else both.
function candidates(before, word) {
  const head = before.slice(0, before.length - word.length);
  const named = (name) => tables.has(name) ? name : new RegExp(`(\\w+)\\s+(?:as\\s+)?${name}\\b`, "i").exec(editor.value)?.[1];
  const owner = /(\w+)\.$/.exec(head);
  if (owner) return tables.get(named(owner[1])) || [];
  if (/\b(from|join)\s+$/i.test(head)) return [...tables.keys()];
  if (!word) return [];
  const used = [...tables.keys()].filter((name) => new RegExp(`\\b${name}\\b`).test(editor.value));
  const first = used.length ? used : ["runs", "steps", "tool_calls"];
  return [...first.flatMap((name) => tables.get(name) || []), ...tables.keys(), ...words];
}

function close() {
  box.hidden = true;
  active = -1;
  editor.removeAttribute("aria-activedescendant");
}

function offer() {
  const before = editor.value.slice(0, editor.selectionStart);
  const word = /\w*$/.exec(before)[0];
  const found = [...new Set(candidates(before, word))]
    .filter((name) => name.toLowerCase().startsWith(word.toLowerCase()) && name !== word).slice(0, 8);
  close();
  if (!found.length || editor.selectionStart !== editor.selectionEnd) return;
  from = before.length - word.length;
  box.replaceChildren(...found.map((name, number) => {
    const one = document.createElement("li");
    one.textContent = name;
    one.id = `name-${number}`;
    one.setAttribute("role", "option");
    one.setAttribute("aria-selected", "false");
    one.addEventListener("pointerdown", (event) => { event.preventDefault(); take(one); });
    return one;
  }));
  const lines = before.split("\n");
  box.style.top = `${12 + 20 * lines.length - editor.scrollTop}px`;
  box.style.left = `min(calc(16px + ${lines.at(-1).length - word.length}ch), calc(100% - 220px))`;
  box.hidden = false;
}

function take(one) {
  editor.setRangeText(one.textContent, from, editor.selectionStart, "end");
  close();
}

editor.addEventListener("input", offer);
editor.addEventListener("blur", close);
editor.addEventListener("click", close);
editor.addEventListener("keydown", (event) => {
  if (event.key === " " && event.ctrlKey) { event.preventDefault(); offer(); return; }
  if (box.hidden || event.ctrlKey || event.metaKey) return;
  const all = [...box.children];
  if (event.key === "Escape") { close(); event.stopPropagation(); }
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    active = event.key === "ArrowDown" ? (active + 1) % all.length : (active <= 0 ? all.length : active) - 1;
    all.forEach((one, number) => one.setAttribute("aria-selected", String(number === active)));
    editor.setAttribute("aria-activedescendant", all[active].id);
  } else if (event.key === "Tab" && !event.shiftKey || event.key === "Enter" && active >= 0) {
    event.preventDefault();
    take(all[Math.max(active, 0)]);
  } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") close();
});

// A question that was answered is kept; those with a name stay until they are forgotten.
const MOST = 30;
const past = () => { try { return JSON.parse(kept("questions")) || []; } catch { return []; } };
const asked = new URLSearchParams(location.search);
if ($("[data-answered]") && asked.get("statement")) {
  const [statement, name] = [asked.get("statement"), asked.get("name") || ""];
  const others = past().filter((one) => name ? one.name !== name : one.statement !== statement || one.name);
  const all = [{ statement, name }, ...others];
  keep("questions", JSON.stringify([...all.filter((one) => one.name), ...all.filter((one) => !one.name).slice(0, MOST)]));
}

function list() {
  const all = past();
  $("#past").hidden = !all.length;
  for (const [place, wanted] of [["#named", true], ["#history", false]]) {
    const rows = all.filter((one) => Boolean(one.name) === wanted);
    $(place).parentElement.hidden = !rows.length;
    $(place).replaceChildren(...rows.map((one) => {
      const row = document.createElement("li"), link = document.createElement("a"), forget = document.createElement("button");
      link.textContent = one.name || one.statement.replace(/\s+/g, " ");
      link.title = one.statement;
      link.href = `/sql?${new URLSearchParams(one.name ? one : { statement: one.statement })}`;
      forget.textContent = "×";
      forget.className = "btn bare";
      forget.setAttribute("aria-label", `Forget: ${link.textContent}`);
      forget.addEventListener("click", () => {
        keep("questions", JSON.stringify(past().filter((other) => other.statement !== one.statement || other.name !== one.name)));
        list();
      });
      row.append(link, forget);
      return row;
    }));
  }
}
list();

// The server ends the work when the browser lets go of the request.
const stop = $("#stop");
editor.form.addEventListener("submit", () => { stop.hidden = false; });
stop.addEventListener("click", () => { window.stop(); stop.hidden = true; editor.focus(); });
addEventListener("pageshow", () => { stop.hidden = true; });
