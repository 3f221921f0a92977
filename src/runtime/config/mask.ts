/** Keeps secrets out of everything a person or a file sees. Pure. */
import type { Setting, SettingValue } from "./settings/kinds.ts";

/** What is shown in place of a secret. */
export const MASK = "********";

/** The same text with the password of every URL in it replaced. */
export function maskUrlPassword(value: string): string {
  return value
    .replace(/([a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:)\S*@/gi, `$1${MASK}@`)
    .replace(/([?&](?:password|secret|token|api_?key)=)[^&\s]*/gi, `$1${MASK}`);
}

/** A setting's value as people may see it. */
export function maskSetting(setting: Setting, value: SettingValue): SettingValue {
  if (typeof value !== "string") return value;
  return setting.secret ? MASK : maskUrlPassword(value);
}
