// make lint-js: the page's scripts know the browser and each other, the harnesses and reproductions know Node.js.
const browser = `document window location history navigator addEventListener dispatchEvent scrollTo setTimeout clearTimeout
  Node Blob Response DecompressionStream URLSearchParams HashChangeEvent CSS atob fetch`;
const node = "process Buffer Blob URL TextDecoder TextEncoder console";

const names = [
  "no-undef", "no-unused-vars", "no-shadow", "no-redeclare", "no-use-before-define", "no-unreachable", "no-dupe-keys", "no-dupe-else-if",
  "no-fallthrough", "no-self-assign", "no-unsafe-negation", "no-unsafe-optional-chaining", "no-constant-condition",
  "no-eval", "no-implied-eval", "no-new-func", "no-script-url", "no-template-curly-in-string",
  "prefer-const", "no-var", "eqeqeq", "use-isnan", "valid-typeof", "require-await", "no-async-promise-executor",
  "array-callback-return", "consistent-return", "default-case-last", "no-else-return", "object-shorthand", "prefer-template",
];
const rules = Object.fromEntries(names.map((name) => [name, "error"]));
rules["no-use-before-define"] = ["error", { functions: false, variables: false }];

const of = (files, globals) => ({
  files,
  languageOptions: {
    ecmaVersion: 2024,
    sourceType: "module",
    globals: Object.fromEntries(globals.split(/\s+/).map((name) => [name, "readonly"])),
  },
  linterOptions: { reportUnusedDisableDirectives: "error" },
  rules,
});

export default [of(["**/*.js"], browser), of(["**/*.mjs"], node)];
