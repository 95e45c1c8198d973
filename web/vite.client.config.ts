import { defineConfig } from "vite";

// The client library by itself, as one module for browsers and Node: dist/client/events-client.js.
export default defineConfig({
  publicDir: false,
  build: {
    target: "es2022",
    outDir: "dist/client",
    lib: { entry: "src/core/index.ts", formats: ["es"], fileName: () => "events-client.js" },
  },
});
