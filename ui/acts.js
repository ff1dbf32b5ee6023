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

// An answer that is being written is replaced many times a second: what a person has unfolded
// stays so.
const unfolded = new Set();
element.addEventListener('click', (event) => {
  const thoughts = event.target.closest('summary')?.closest('[data-thoughts]');
  if (!thoughts) return;
  unfolded[thoughts.open ? 'delete' : 'add'](thoughts.dataset.thoughts);
});
new MutationObserver(() => {
  element.querySelectorAll('[data-thoughts]').forEach((thoughts) => {
    if (!thoughts.open && unfolded.has(thoughts.dataset.thoughts)) thoughts.open = true;
  });
}).observe(element, { childList: true, subtree: true, attributeFilter: ['open'] });
