/** The flood both sides send in front of an emergency. */

/** Bulk messages under way: a backlog of about ten milliseconds. */
export const FLOOD_WINDOW = 4_096;
export const WORK_US = 2;
export const EMERGENCY_EVERY_MS = 5;
