const dialog = () => element.querySelector('dialog');
const open = () => {
  document.querySelectorAll('dialog[open]').forEach((other) => other.close());
  dialog().showModal();
};
document.addEventListener('click', (event) => {
  if (event.target.closest('[data-opens]')?.dataset.opens === dialog()?.id) open();
});
element.addEventListener('submit', (event) => {
  const data = Object.fromEntries(new FormData(event.target));
  trigger('submit', { ...data, act: event.submitter?.value || '' });
});
watch('value', () => {
  if (dialog()?.dataset.open) open();
});
