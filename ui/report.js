// A report is shown in the page's theme, also when that changes.
const open = () => {
  const frame = element.querySelector('iframe');
  if (!frame) return;
  const theme = document.body.classList.contains('dark') ? 'dark' : 'light';
  const address = `${frame.dataset.report}?theme=${theme}`;
  if (frame.getAttribute('src') !== address) frame.src = address;
};
new MutationObserver(open).observe(document.body, { attributeFilter: ['class'] });
watch('value', () => {
  open();
  // on a narrow page the report lies below the runs
  element.querySelector('iframe')?.scrollIntoView({ block: 'nearest' });
});
