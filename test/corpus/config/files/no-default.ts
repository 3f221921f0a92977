/** Nothing is exported by default. */
export const config = {};
