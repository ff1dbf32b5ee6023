element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button || !element.contains(button)) return;
  const data = { ...button.dataset };
  if (data.act === 'copy') {
    copy(data.text).then(() => {
      button.textContent = 'Copied';
      setTimeout(() => { button.textContent = 'Copy'; }, 1500);
    });
    return;
  }
  if (data.act === 'edit') {
    edit(button.closest('.turn'), data.turn);
    return;
  }
  if (data.act === 'rate') {
    const comment = button.closest('.turn').querySelector('.comment input')?.value || '';
    trigger('submit', { ...data, comment });
    return;
  }
  if (data.act === 'remove' && !confirm(`Delete the run ${data.run} with its report?`)) return;
  if (data.act === 'passage' || data.act === 'evidence') {
    document.getElementById('page').dataset.drawer = 'evidence';
  }
  trigger(data.act === 'ask' || data.act === 'again' ? 'input' : 'select', data);
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

// Only pages over https, or of this machine, may write to the clipboard directly.
const copy = async (text) => {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
  return undefined;
};

// The question becomes a field; it is asked again with Enter, and left as it was with Escape.
const edit = (turn, number) => {
  const question = turn.querySelector('.question');
  const field = document.createElement('textarea');
  field.value = question.innerText;
  field.rows = 2;
  field.className = 'editing';
  field.setAttribute('aria-label', 'Question');
  question.after(field);
  question.hidden = true;
  field.focus();
  const leave = () => {
    question.hidden = false;
    field.remove();
  };
  field.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') leave();
    // while a word is still being composed, as in Japanese, Enter takes it
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    const text = field.value.trim();
    leave();
    if (text) trigger('input', { act: 'again', turn: number, text });
  });
};
