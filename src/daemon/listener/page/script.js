// Filters the table of services while one types, as far as its rows are on the page; the form asks the
// server for the others. Says how old the page is, as it does not reload itself under its reader.
"use strict";

function filterWhileTyping() {
  const input = document.getElementById("filter");
  const table = document.getElementById("services");
  if (!input || !table) return;
  const rows = Array.from(table.rows);
  const summary = document.getElementById("summary");
  const answer = Array.from(summary.childNodes);
  const answered = input.defaultValue.trim().toLowerCase();
  const isCut = document.getElementById("more") !== null;

  function filter() {
    const text = input.value.trim().toLowerCase();
    const matches = (row) =>
      Array.from(row.querySelectorAll(".name")).some((cell) => cell.textContent.toLowerCase().includes(text));
    let shown = 0;
    for (const row of rows) {
      row.hidden = !matches(row);
      if (!row.hidden) shown += 1;
    }
    if (text === answered) {
      summary.replaceChildren(...answer);
      return;
    }
    const isPart = isCut || !text.includes(answered);
    summary.textContent =
      `${shown} of ${rows.length} rows on this page match.` + (isPart ? " Press Enter to search the whole list." : "");
  }

  input.addEventListener("input", filter);
  filter();
}

function tellAge() {
  const loaded = Date.now();
  const age = document.getElementById("age");
  setInterval(() => {
    const minutes = Math.floor((Date.now() - loaded) / 60_000);
    if (minutes > 0) age.textContent = `(${minutes} min ago)`;
  }, 10_000);
}

filterWhileTyping();
tellAge();
