// A new question comes into view and its answer grows below it, until a person scrolls away: the
// question goes up to the top and no further, and of a very long one at least its end is seen.
const panel = element.closest('#scroll');
let newest = '', following = false;
const place = () => {
  const turns = panel.querySelectorAll('.turn');
  const last = turns[turns.length - 1];
  if (!last) {
    newest = '';
    return;
  }
  if (last.id !== newest) {
    newest = last.id;
    following = true;
  }
  if (!following) return;
  const top = (part) => part.getBoundingClientRect().top - panel.getBoundingClientRect().top;
  const down = Math.max(top(last), top(last.querySelector('.answer')) - panel.clientHeight / 2);
  panel.scrollTop += down;
};
['wheel', 'touchmove', 'keydown'].forEach((name) => {
  panel.addEventListener(name, () => { following = false; }, { passive: true });
});
panel.addEventListener('pointerdown', (event) => {
  if (event.target === panel) following = false; // the scroll bar
});
new MutationObserver(place).observe(panel, { childList: true, subtree: true });
place();
