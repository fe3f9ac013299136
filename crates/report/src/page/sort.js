for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const sign = heading.ariaSort === "ascending" ? -1 : 1;
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.ariaSort = sign > 0 ? "ascending" : "descending";
      const superscripts = "⁰¹²³⁴⁵⁶⁷⁸⁹";
      const text = (row) => row.cells[column].textContent;
      const number = (row) => Number(text(row).replace(/×10(.*)/, (_, power) => "e" +
        [...power].map((digit) => digit === "⁻" ? "-" : superscripts.indexOf(digit)).join("")).replace("−", "-"));
      const rows = [...table.tBodies[0].rows];
      rows.sort((one, other) => sign * (number(one) - number(other) || text(one).localeCompare(text(other))));
      table.tBodies[0].append(...rows);
    });
  });
}
