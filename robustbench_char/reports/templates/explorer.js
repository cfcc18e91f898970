"use strict";
// The example explorer. Data never becomes markup: every text goes through textContent.
(() => {
  const ROW = 52; // pixels a row of the list takes, as in explorer.css
  const NO_ANSWER = "(no answer)";
  const CUT_OFF = "∅";
  const $ = (name) => document.getElementById(`explorer-${name}`);
  const FILTERS = ["task", "system", "suite", "operator", "outcome"];
  const PLURAL = { task: "tasks", system: "systems", suite: "suites", operator: "operators", outcome: "outcomes" };

  const list = $("list");
  const rows = list.querySelector(".rows");
  let data;
  let matches = []; // indices into data.results
  let chosen = -1; // place in matches
  let texts = null; // lower-cased clean and attacked text of each example, made by the first search

  async function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  }

  function element(name, text, className) {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  const clean = (parts) => parts.filter((_, place) => place % 3 !== 2).join("");
  const attacked = (parts) => parts.filter((_, place) => place % 3 !== 1).join("");

  // Words between white space, each with its parts: "same", "del" or "ins".
  function words(parts) {
    const found = [];
    let word = [];
    const flush = () => {
      if (word.length) found.push(word);
      word = [];
    };
    parts.forEach((part, place) => {
      const kind = ["same", "del", "ins"][place % 3];
      if (kind !== "same") {
        if (part) word.push([kind, part]);
        return;
      }
      part.split(/(\s+)/).forEach((piece) => {
        if (!piece) return;
        if (/^\s/.test(piece)) {
          flush();
          found.push(piece);
        } else word.push([kind, piece]);
      });
    });
    flush();
    return found;
  }

  // One side of a text, without the parts of the kind `left` out; distances shade its words.
  function fieldText(parts, left, distances) {
    const shown = document.createDocumentFragment();
    let number = -1;
    for (const word of words(parts)) {
      if (typeof word === "string") {
        shown.append(word);
        continue;
      }
      number += 1;
      const edited = word.some(([kind]) => kind !== "same");
      const made = element(edited ? "mark" : "span");
      for (const [kind, text] of word) {
        if (kind !== left) made.append(kind === "same" ? text : element(kind, text));
      }
      const moved = distances ? distances[number] : null;
      if (moved !== null && moved !== undefined) {
        made.classList.add("moved");
        made.style.setProperty("--moved", Math.min(0.9, moved));
        made.title = `moved by ${moved} (1 − cosine)`;
      }
      shown.append(made);
    }
    return shown;
  }

  function table(head, body) {
    const made = element("table");
    const line = made.createTHead().insertRow();
    for (const title of head) {
      const cell = element("th", title, "left");
      cell.scope = "col";
      line.append(cell);
    }
    const lines = made.createTBody();
    for (const cells of body) {
      const row = lines.insertRow();
      const changed = cells.at(-1) !== cells.at(-2);
      cells.forEach((text, place) => {
        const last = place >= cells.length - 2;
        const classes = ["left", text.length < 40 ? "short" : "", last && changed ? "changed" : ""];
        row.append(element("td", text || NO_ANSWER, classes.filter(Boolean).join(" ")));
      });
    }
    return made;
  }

  const isTagged = (example) => example[3].length === 1 && example[3][0][0] === "tokens";

  function verdict(example, result) {
    const [, , , fields, , gold, goldAfter] = example;
    const [, , , before, after] = result;
    if (!isTagged(example)) {
      const right = goldAfter ? `${gold || NO_ANSWER} (attacked: ${goldAfter})` : gold;
      return table(["gold", "before", "after"], [[right, before, after]]);
    }
    const columns = [clean(fields[0][1]), attacked(fields[0][1]), gold, before, after].map((text) => text.split(" "));
    const lines = columns[0].map((word, place) => {
      const after = columns[1][place];
      const tag = (column) => columns[column][place] ?? columns[column][0]; // "(failed)" stands for all words
      const label = (column) => (tag(column) === CUT_OFF ? "(cut off)" : tag(column));
      return [word === after ? word : `${word} → ${after}`, label(2), label(3), label(4)];
    });
    const telling = lines.filter(([, right, old, now]) => right !== "O" || old !== now);
    return table(["word", "gold", "before", "after"], telling.length ? telling : lines);
  }

  const nameOf = (result) => {
    const example = data.examples[result[0]];
    return [data.tasks[example[0]], data.suites[example[1]], data.systems[result[1]], example[2]];
  };

  function linkTo(result, text) {
    const link = element("a", text);
    link.href = hashOf(result);
    return link;
  }

  // What the same attack did to the same example of other systems.
  function others(result) {
    const found = data.results.filter((other) => other[0] === result[0] && other !== result);
    if (!found.length) return [];
    const line = element("p", "Other systems: ", "others");
    found.forEach((other, place) => {
      line.append(place ? ", " : "", linkTo(other, data.systems[other[1]]), ` (${data.outcomes[other[2]]})`);
    });
    return [line];
  }

  function show() {
    const card = $("shown");
    card.replaceChildren();
    if (chosen < 0) {
      card.append(element("p", "No example is chosen."));
      return;
    }
    const result = data.results[matches[chosen]];
    const example = data.examples[result[0]];
    const outcome = data.outcomes[result[2]];
    const title = element("h3");
    title.append(element("span", outcome, `badge ${outcome}`), ` ${nameOf(result).join(" · ")} `);
    title.append(linkTo(result, "link"));
    const mark = data.marks[result[0]];
    const texts = element("dl");
    let anyMoved = false;
    example[3].forEach(([name, parts], place) => {
      const distances = result[5] ? result[5][place] : 0;
      anyMoved = anyMoved || Boolean(distances);
      const sides = parts.length > 1 ? [[`${name}, clean`, "ins", 0], [`${name}, attacked`, "del", distances]] : [[name, "", distances]];
      for (const [title, left, shades] of sides) {
        const text = element("dd");
        text.append(fieldText(parts, left, shades));
        texts.append(element("dt", title), text);
      }
    });
    const operators = example[4].map((place) => data.operators[place]).join(", ");
    texts.append(element("dt", "operators"), element("dd", operators));
    const scroll = element("div", undefined, "scroll");
    scroll.tabIndex = 0;
    scroll.setAttribute("role", "region");
    scroll.setAttribute("aria-label", "Gold and predicted labels");
    scroll.append(verdict(example, result));
    card.append(title, ...(mark ? [element("p", mark, "mark")] : []), texts, scroll);
    if (isTagged(example)) card.append(element("p", "Listed are words with a label and words whose label changed.", "footnote"));
    card.append(...others(result));
    if (anyMoved) {
      card.append(element("p", "Words are shaded by how far the attack moved them for this system (1 − cosine).", "footnote"));
    }
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 4);
    const last = Math.min(matches.length, first + Math.ceil(list.clientHeight / ROW) + 8);
    rows.style.transform = `translateY(${first * ROW}px)`;
    rows.replaceChildren();
    for (let place = first; place < last; place += 1) {
      const result = data.results[matches[place]];
      const [task, suite, system, id] = nameOf(result);
      const made = element("div");
      made.id = `explorer-row-${place}`;
      made.dataset.place = place;
      made.setAttribute("role", "option");
      made.setAttribute("aria-selected", String(place === chosen));
      made.setAttribute("aria-setsize", matches.length);
      made.setAttribute("aria-posinset", place + 1);
      made.append(
        element("span", attacked(data.examples[result[0]][3].at(0)[1])),
        element("span", `${data.outcomes[result[2]]} · ${task} · ${system} · ${suite} · ${id}`, "where"),
      );
      rows.append(made);
    }
    if (chosen >= first && chosen < last) list.setAttribute("aria-activedescendant", `explorer-row-${chosen}`);
    else list.removeAttribute("aria-activedescendant");
  }

  function choose(place, scroll = true) {
    chosen = matches.length ? Math.max(0, Math.min(matches.length - 1, place)) : -1;
    if (scroll && chosen >= 0) {
      const top = chosen * ROW;
      if (top < list.scrollTop) list.scrollTop = top;
      else if (top + ROW > list.scrollTop + list.clientHeight) list.scrollTop = top + ROW - list.clientHeight;
    }
    draw();
    show();
  }

  function searched() {
    const wanted = $("search").value.trim().toLowerCase();
    if (!wanted) return null;
    texts ??= data.examples.map((example, place) =>
      [...example[3].map(([, parts]) => `${clean(parts)}\n${attacked(parts)}`), data.marks[place] ?? ""].join("\n").toLowerCase(),
    );
    return (example) => texts[example].includes(wanted);
  }

  function filter() {
    const wanted = Object.fromEntries(FILTERS.map((name) => [name, $(name).value === "" ? -1 : Number($(name).value)]));
    const has = searched();
    matches = [];
    data.results.forEach(([place, system, outcome], number) => {
      const example = data.examples[place];
      if (wanted.task >= 0 && example[0] !== wanted.task) return;
      if (wanted.suite >= 0 && example[1] !== wanted.suite) return;
      if (wanted.system >= 0 && system !== wanted.system) return;
      if (wanted.outcome >= 0 && outcome !== wanted.outcome) return;
      if (wanted.operator >= 0 && !example[4].includes(wanted.operator)) return;
      if (has && !has(place)) return;
      matches.push(number);
    });
    list.querySelector(".spacer").style.height = `${matches.length * ROW}px`;
    list.scrollTop = 0;
    const all = data.results.length.toLocaleString("en");
    $("count").textContent = `${matches.length.toLocaleString("en")} of ${all} results (an example by a system)`;
    choose(0);
  }

  const hashOf = (result) => `#example=${nameOf(result).map(encodeURIComponent).join("/")}`;

  function follow() {
    if (!location.hash.startsWith("#example=")) return;
    const wanted = location.hash.slice("#example=".length).split("/").map(decodeURIComponent).join("\n");
    const number = data.results.findIndex((result) => nameOf(result).join("\n") === wanted);
    if (number < 0) {
      $("count").textContent = "The example of this link is not among those shown.";
      return;
    }
    $("search").value = "";
    for (const name of FILTERS) $(name).value = "";
    filter();
    choose(matches.indexOf(number));
    $("count").scrollIntoView();
  }

  function keys(event) {
    const page = Math.max(1, Math.floor(list.clientHeight / ROW) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      choose(chosen + steps[event.key]);
    }
  }

  function fill(name) {
    data[PLURAL[name]].forEach((text, place) => {
      const option = element("option", text);
      option.value = place;
      $(name).append(option);
    });
    $(name).addEventListener("change", filter);
  }

  function listen() {
    let timer;
    FILTERS.forEach(fill);
    $("search").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(filter, 120);
    });
    $("search").form.addEventListener("submit", (event) => event.preventDefault());
    list.addEventListener("keydown", keys);
    list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });
    rows.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) choose(Number(row.dataset.place), false);
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
        event.preventDefault();
        $("search").focus();
      } else if (event.key === "Escape" && document.activeElement === $("search")) list.focus();
    });
    addEventListener("hashchange", follow);
    addEventListener("resize", draw);
  }

  async function start() {
    if (!("DecompressionStream" in window)) return; // the note below stays
    data = await unpack($("data").textContent);
    document.getElementById("explorer").hidden = false;
    $("note").hidden = true;
    listen();
    filter();
    follow();
    document.getElementById("explorer").dataset.ready = "yes";
  }

  start().catch((error) => {
    $("note").textContent = `The explorer could not start: ${error.message}`;
    $("note").hidden = false;
  });
})();
