const checked = () => [...element.querySelectorAll('.only:checked')].map((box) => box.value);
element.addEventListener('input', (event) => {
  if (!event.target.matches('.find')) return;
  const wanted = event.target.value.trim().toLowerCase();
  element.querySelectorAll('.documents li').forEach((row) => {
    row.hidden = !row.querySelector('.name').textContent.toLowerCase().includes(wanted);
  });
});
element.addEventListener('change', (event) => {
  if (!event.target.matches('.only')) return;
  const sources = checked();
  const all = element.querySelectorAll('.only').length;
  element.querySelector('.limit').textContent = sources.length
    ? `The next question asks ${sources.length} of ${all}.`
    : 'Check documents to ask only them.';
  trigger('input', { sources });
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button || !element.contains(button)) return;
  const data = { ...button.dataset };
  if (data.act === 'delete' && !confirm(`Delete ${data.source} and its passages?`)) return;
  if (data.act === 'drop'
      && !confirm(`Delete the collection ${data.collection} with all its documents?`)) return;
  if (data.act === 'open') document.getElementById('page').dataset.drawer = 'evidence';
  trigger('select', data);
});
