element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button || !element.contains(button)) return;
  const data = { ...button.dataset };
  if (data.act === 'copy') {
    const text = button.closest('.turn').querySelector('.answer').innerText;
    navigator.clipboard.writeText(text).then(() => {
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
    return;
  }
  if (data.act === 'delete' && !confirm(`Delete ${data.source} and its passages?`)) return;
  if (data.act === 'passage' || data.act === 'evidence') {
    document.getElementById('page').dataset.drawer = 'evidence';
  }
  trigger(data.act === 'ask' ? 'input' : 'select', data);
});
