const dialog = () => element.querySelector('dialog');
let key = '', name = ''; // typed once, and kept by the page while the dialog is made anew
const open = () => {
  document.querySelectorAll('dialog[open]').forEach((other) => other.close());
  dialog().showModal();
  const field = dialog().querySelector('[type=password]');
  if (field) field.value = key;
  const named = dialog().querySelector('[name=name]');
  if (named && !named.value) named.value = name;
};
const send = (form, act, more = {}) => {
  const data = Object.fromEntries(new FormData(form));
  key = act === 'cancel' ? '' : data.key || '';
  name = '';
  trigger('submit', { ...data, ...more, act });
};
const wait = (form) => {
  form.querySelectorAll('button:not([value=cancel])').forEach((one) => { one.disabled = true; });
  const reply = form.querySelector('.reply');
  if (reply) reply.textContent = 'Asking …';
};
document.addEventListener('click', (event) => {
  if (event.target.closest('[data-opens]')?.dataset.opens === dialog()?.id) open();
});
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-send]');
  if (!button) return;
  send(button.form, button.dataset.send, { ...button.dataset });
  wait(button.form);
});
element.addEventListener('input', (event) => {
  if (event.target.name === 'name') name = event.target.value;
});
element.addEventListener('submit', (event) => {
  const act = event.submitter?.value || '';
  send(event.target, act);
  if (act === 'cancel' || !('stays' in dialog().dataset)) return;
  event.preventDefault();
  wait(event.target);
});
watch('value', () => {
  if (dialog()?.dataset.open) open();
});
