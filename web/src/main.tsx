import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App";
import { createServices } from "./model/services";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/layout.css";
import "./styles/prospects.css";
import "./styles/activity.css";

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App services={createServices()} />
  </StrictMode>,
);
