element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button) return;
  const { act, id, title } = button.dataset;
  if (act === 'rename') {
    const chosen = prompt('Title of the conversation', title);
    if (chosen && chosen.trim()) trigger('select', { act, id, title: chosen.slice(0, 200) });
    return;
  }
  if (act === 'delete-chat' && !confirm(`Delete the conversation “${title}”?`)) return;
  if (act === 'open') document.getElementById('page').dataset.drawer = '';
  trigger('select', { act, id });
});
// This tab opens the same conversation after a reload.
const remember = () => {
  const list = element.querySelector('[data-opened]');
  if (list) sessionStorage.setItem('conversation', list.dataset.opened);
};
watch('value', remember);
