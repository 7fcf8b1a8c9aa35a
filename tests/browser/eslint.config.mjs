// make lint-page: the page's scripts, which know the browser and each other, and nothing else.
const names = `document window location history navigator addEventListener dispatchEvent scrollTo setTimeout clearTimeout
  Node Blob Response DecompressionStream URLSearchParams HashChangeEvent CSS atob`;

export default [{
  files: ["**/*.js"],
  languageOptions: { ecmaVersion: 2024, sourceType: "module", globals: Object.fromEntries(names.split(/\s+/).map((name) => [name, "readonly"])) },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  rules: Object.fromEntries([
    "no-undef", "no-unused-vars", "no-shadow", "no-redeclare", "no-use-before-define", "no-unreachable", "no-dupe-keys", "no-dupe-else-if",
    "no-fallthrough", "no-self-assign", "no-unsafe-negation", "no-unsafe-optional-chaining", "no-constant-condition",
    "no-eval", "no-implied-eval", "no-new-func", "no-script-url", "no-template-curly-in-string",
    "prefer-const", "no-var", "eqeqeq", "use-isnan", "valid-typeof", "require-await", "no-async-promise-executor",
    "array-callback-return", "consistent-return", "default-case-last", "no-else-return", "object-shorthand", "prefer-template",
  ].map((rule) => [rule, rule === "no-use-before-define" ? ["error", { functions: false, variables: false }] : "error"])),
}];
