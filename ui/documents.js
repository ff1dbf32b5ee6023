// The list is made anew whenever something has changed anywhere: what a person has checked and
// searched for stays.
let collection = '', wanted = '';
const only = new Set();
const checked = () => {
  const boxes = [...element.querySelectorAll('.only')];
  const count = boxes.filter((box) => box.checked).length;
  const limit = element.querySelector('.limit');
  if (!limit) return;
  limit.textContent = count
    ? `The next question asks ${count} of ${boxes.length}.`
    : 'Check documents to ask only them.';
};
const search = () => {
  element.querySelectorAll('.documents li').forEach((row) => {
    row.hidden = !row.querySelector('.name').textContent.toLowerCase().includes(wanted);
  });
};
const restore = () => {
  const list = element.querySelector('.documents');
  if ((list?.dataset.collection || '') !== collection) {
    collection = list?.dataset.collection || '';
    wanted = '';
    only.clear();
  }
  element.querySelectorAll('.only').forEach((box) => { box.checked = only.has(box.value); });
  const field = element.querySelector('.find');
  if (field) field.value = wanted;
  else wanted = '';
  checked();
  search();
};
element.addEventListener('input', (event) => {
  if (!event.target.matches('.find')) return;
  wanted = event.target.value.trim().toLowerCase();
  search();
});
element.addEventListener('change', (event) => {
  const box = event.target;
  if (!box.matches('.only')) return;
  only[box.checked ? 'add' : 'delete'](box.value);
  checked();
  const sources = [...element.querySelectorAll('.only:checked')].map((one) => one.value);
  trigger('input', { collection, sources });
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button || !element.contains(button)) return;
  const data = { ...button.dataset };
  if (data.act === 'delete' && !confirm(`Delete ${data.source} and its passages?`)) return;
  if (data.act === 'drop'
      && !confirm(`Delete the collection ${data.collection} with all its documents?`)) return;
  if (data.act === 'share'
      && !confirm(`Let all users see ${data.collection}? An admin can make it private again.`)) return;
  if (data.act === 'unshare' && !confirm(`Hide ${data.collection} from all users but you?`)) return;
  if (data.act === 'rename') {
    data.to = (prompt('Name of the collection', data.collection) || '').trim();
    if (!data.to || data.to === data.collection) return;
  }
  if (data.act === 'open') document.getElementById('page').dataset.drawer = 'evidence';
  trigger('select', data);
});
watch('value', restore);
