// Waiting for what happens, never for a time: the limit only ends a test that would hang.
const LIMIT = 60_000;

/** Waits until something asked again and again is so. */
export async function until(holds) {
  const begun = Date.now();
  for (;;) {
    const value = await holds();
    if (value) return value;
    if (Date.now() - begun > LIMIT) throw new Error(`it never came to be: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until the view of what is followed is so; gives the view. */
export function untilView(following, holds) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      end();
      const { status, cursor, error } = following.view;
      reject(new Error(`the view never came to be ${holds}: ${status} at ${cursor}, ${error?.detail}`));
    }, LIMIT);
    const look = () => {
      if (holds(following.view)) {
        clearTimeout(timer);
        end();
        resolve(following.view);
      }
    };
    const end = following.subscribe(look);
    look();
  });
}
