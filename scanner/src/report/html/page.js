'use strict';
addEventListener('DOMContentLoaded', () => {
  const key = (row, column, numbers) => {
    const cell = row.cells[column];
    const text = cell ? cell.dataset.key ?? cell.textContent : '';
    return numbers ? (text === '' ? Infinity : Number(text)) : text.toLowerCase();
  };
  const sort = (table, heading, column) => {
    const down = heading.getAttribute('aria-sort') === 'ascending';
    for (const other of heading.parentNode.cells) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    // A host is a body of its own, a port a row.
    const hosts = table.id === 'hosts';
    const items = [...(hosts ? table.tBodies : table.tBodies[0].rows)];
    const numbers = heading.classList.contains('n');
    const keyed = items.map(item => [key(hosts ? item.rows[0] : item, column, numbers), item]);
    const sign = down ? -1 : 1;
    keyed.sort(([a], [b]) => (a < b ? -sign : a > b ? sign : 0));
    const parent = items.length ? items[0].parentNode : table;
    parent.append(...keyed.map(([, item]) => item));
  };
  for (const table of document.querySelectorAll('table')) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      if (heading.querySelector('button')) return;
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...heading.childNodes);
      button.addEventListener('click', () => sort(table, heading, column));
      heading.append(button);
    });
  }
  const table = document.getElementById('hosts');
  if (!table || document.getElementById('find')) return;
  const find = document.createElement('input');
  find.id = 'find';
  find.type = 'search';
  find.placeholder = find.ariaLabel = 'Show hosts with\u2026';
  find.addEventListener('input', () => {
    const wanted = find.value.toLowerCase();
    for (const host of table.tBodies) host.hidden = !host.textContent.toLowerCase().includes(wanted);
  });
  table.before(find);
});
