/**
 * The switch between light, dark, and what the system says.
 *
 * @module
 */
/// <reference lib="dom" />
import { byId } from "./dom.ts";
import { load, save } from "./storage.ts";

/**
 * Makes the switch.
 *
 * @param onChange called when the colours have changed, also those of the system
 * @returns what switches
 */
export function createTheme(onChange: () => void): () => void {
  const control = byId<HTMLButtonElement>("theme");
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = load<string>("localStorage", "theme");

  function apply(): void {
    if (chosen === "light" || chosen === "dark") root.dataset["theme"] = chosen;
    else delete root.dataset["theme"];
    const isDark = (chosen ?? (system.matches ? "dark" : "light")) === "dark";
    control.textContent = isDark ? "☀" : "☾";
    control.ariaLabel = control.title = isDark ? "Light colours" : "Dark colours";
    onChange();
  }

  function change(): void {
    const isDark = (chosen ?? (system.matches ? "dark" : "light")) === "dark";
    const wanted = isDark ? "light" : "dark";
    // What the system says anyway goes on to follow the system.
    chosen = wanted === (system.matches ? "dark" : "light") ? undefined : wanted;
    save("localStorage", "theme", chosen ?? null);
    apply();
  }

  control.onclick = change;
  system.addEventListener("change", apply);
  apply();
  return change;
}
