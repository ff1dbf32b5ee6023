// The form: systems are named as the command line names them.
const lexical = ['bm25', 'rank_bm25'];
const fieldsets = () => [...element.querySelectorAll('fieldset')];
const system = (fieldset) => {
  const [retriever, encoder, ...stages] = [...fieldset.querySelectorAll('select')].map((s) => s.value);
  const usual = fieldset.querySelector('[name=encoder] option').value;
  const at = lexical.includes(retriever) || encoder === usual ? '' : `@${encoder}`;
  return [retriever + at, ...stages.filter(Boolean)].join('+');
};
const encoders = () => {
  fieldsets().forEach((one) => {
    const words = lexical.includes(one.querySelector('[name=retriever]').value);
    one.querySelector('[name=encoder]').disabled = words;
  });
};
const show = (fieldset, shown) => {
  fieldset.hidden = !shown;
  fieldset.disabled = !shown;
  element.querySelector('[data-act=add]').hidden = fieldsets().every((one) => !one.hidden);
};
// What a person has typed and chosen stays when the form is made anew.
let kept = null;
const fields = () => [...element.querySelectorAll('fieldset select, [name=question]')];
const keep = () => {
  kept = { values: fields().map((one) => one.value), hidden: fieldsets().map((one) => one.hidden) };
};
const restore = () => {
  if (!kept) return;
  fields().forEach((one, at) => {
    const options = one.options ? [...one.options].filter((o) => !o.disabled).map((o) => o.value) : null;
    if (!options || options.includes(kept.values[at])) one.value = kept.values[at];
  });
  fieldsets().forEach((one, at) => show(one, !kept.hidden[at]));
};
element.addEventListener('input', (event) => {
  if (event.target.form) keep();
});
element.addEventListener('change', (event) => {
  if (event.target.name === 'collection') trigger('input', { collection: event.target.value });
  if (event.target.name === 'retriever') encoders();
});
element.addEventListener('submit', (event) => {
  event.preventDefault();
  const { question, collection } = Object.fromEntries(new FormData(event.target));
  const systems = fieldsets().filter((one) => !one.hidden).map(system);
  trigger('submit', { question, collection, systems });
  const results = document.getElementById('compared'); // on a phone they are below the form
  if (results.getBoundingClientRect().top > 0.6 * innerHeight) results.scrollIntoView();
});
element.addEventListener('keydown', (event) => {
  if (event.target.name !== 'question' || event.key !== 'Enter') return;
  if (event.shiftKey || event.isComposing) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});
watch('value', () => {
  if (!fieldsets().length) return;
  restore();
  encoders();
});

// The results: votes, and citations that lead to the passage in the table.
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-act]');
  if (!button || !element.contains(button)) return;
  const { act } = button.dataset;
  if (act === 'add' || act === 'less') {
    show(button.closest('fieldset') || fieldsets().find((one) => one.hidden), act === 'add');
    keep();
  } else if (act === 'passage') {
    const row = element.querySelector(`[data-hits~="${button.dataset.turn}:${button.dataset.n}"]`);
    if (!row) return;
    element.querySelectorAll('tr.shown').forEach((one) => one.classList.remove('shown'));
    row.classList.add('shown');
    row.scrollIntoView({ block: 'center' });
  } else {
    const ticked = [...element.querySelectorAll('.found input:checked')];
    trigger('select', { ...button.dataset, marked: ticked.map((one) => one.value).join(' ') });
  }
});
